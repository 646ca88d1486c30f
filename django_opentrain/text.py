"""What failed, as a line for a log, a column or a page."""

from __future__ import annotations

from typing import Final

from django_opentrain.platform.redaction import CREDENTIAL, EMAIL
from django_opentrain.platform.values import as_text

MAX_ERROR: Final = 1000
_LOOKED_AT: Final = 2000  # more than is kept, so that nothing is cut in two before it was recognised


def redact(text: str) -> str:
    """``text`` without tokens, webhook secrets and e-mail addresses, within ``MAX_ERROR`` characters.

    Hosts, databases and mail servers quote what they were given.
    """
    text = text[:_LOOKED_AT]
    for pattern in (CREDENTIAL, EMAIL):
        text = pattern.sub("[redacted]", text)
    return as_text(text, MAX_ERROR)


def describe(error: BaseException) -> str:
    """An exception for people: its type and message, without what must not be kept."""
    return redact(f"{type(error).__name__}: {error}")
