"""What failed, as a line for a log, a column or a page."""

from __future__ import annotations

from typing import Final

from django_opentrain.platform.values import as_text

MAX_ERROR: Final = 1000


def redact(text: str, *secrets: str | None) -> str:
    """``text`` without these secrets and within ``MAX_ERROR`` characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    return as_text(text, MAX_ERROR)


def describe(error: BaseException, *secrets: str | None) -> str:
    """An exception for people: its type and message, without these secrets."""
    return redact(f"{type(error).__name__}: {error}", *secrets)
