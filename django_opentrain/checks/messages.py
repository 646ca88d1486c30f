"""The messages of the checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.core.checks import Error, Warning  # noqa: A004 - Django's name for it

from django_opentrain.conf import SETTING, SETTINGS

DOCS: Final = "docs/reference/checks.md"


def error(number: int, message: str, hint: str) -> Error:
    """Something that can't work. Neither text may hold a secret."""
    name = f"E{number:03d}"
    return Error(message, hint=f"{hint} See {name} in {DOCS}.", id=f"opentrain.{name}")


def warning(number: int, message: str, hint: str) -> Warning:
    """Something that works less well than it looks. Neither text may hold a secret."""
    name = f"W{number:03d}"
    return Warning(message, hint=f"{hint} See {name} in {DOCS}.", id=f"opentrain.{name}")


def configured() -> Mapping[str, Any]:
    """The site's ``OPENTRAIN``; empty if it is missing or not a dict."""
    value = getattr(settings, SETTING, None)
    return value if isinstance(value, Mapping) else {}


def value_of(key: str) -> Any:
    """The value of ``key``: the site's, or the default; None if there is neither."""
    return configured().get(key, SETTINGS[key].default)
