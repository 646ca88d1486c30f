"""The messages of the checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NewType

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name for it

from django_opentrain.conf import SETTING, SETTINGS

DOCS: Final = "docs/reference/checks.md"


#: E for errors, W for warnings. Sites name it in ``SILENCED_SYSTEM_CHECKS``, after ``opentrain.``. The comment above
#: each is its entry in docs/reference/checks.md, in Markdown; for those of values see ``conf``.
CheckId = NewType("CheckId", str)


def message(check: CheckId, text: str, hint: str) -> CheckMessage:
    """An error is something that can't work, a warning something that works less well than it looks.

    Neither text may hold a secret.
    """
    kind = Error if check.startswith("E") else Warning
    return kind(text, hint=f"{hint} See {check} in {DOCS}.", id=f"opentrain.{check}")


def configured() -> Mapping[str, Any]:
    """The site's ``OPENTRAIN``; empty if it is missing or not a dict."""
    value = getattr(settings, SETTING, None)
    return value if isinstance(value, Mapping) else {}


def value_of(key: str) -> Any:
    """The value of ``key``: the site's, or the default; None if there is neither."""
    return configured().get(key, SETTINGS[key].default)
