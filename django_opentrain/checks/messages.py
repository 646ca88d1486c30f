"""How a check says what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.checks import Error, Warning  # noqa: A004 - Django's name for it

from django_opentrain.conf import DEFAULTS, SETTING

DOCS: Final = "docs/checks.md"


def error(number: int, message: str, hint: str) -> Error:
    """Something that can't work. Neither text may hold a secret."""
    name = f"E{number:03d}"
    return Error(message, hint=f"{hint} See {name} in {DOCS}.", id=f"opentrain.{name}")


def warning(number: int, message: str, hint: str) -> Warning:
    """Something that works less well than it looks. Neither text may hold a secret."""
    name = f"W{number:03d}"
    return Warning(message, hint=f"{hint} See {name} in {DOCS}.", id=f"opentrain.{name}")


def configured() -> Mapping[str, Any]:
    """The site's ``OPENTRAIN`` as it stands; empty where it is missing or no dict."""
    value = getattr(settings, SETTING, None)
    return value if isinstance(value, Mapping) else {}


def value_of(key: str) -> Any:
    """What holds for ``key``: the site's value, or the default; None for neither."""
    return configured().get(key, DEFAULTS.get(key))


def split_url(value: object) -> SplitResult | None:
    """The parts of an absolute http(s) URL without credentials, query and fragment; None for anything else."""
    if not isinstance(value, str) or value.strip() != value:
        return None
    try:
        parts = urlsplit(value)
        plain = not (parts.query or parts.fragment or parts.username or parts.password)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable and plain else None


def is_local(parts: SplitResult) -> bool:
    """Whether this URL leads to the machine itself."""
    host = parts.hostname or ""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
