"""What the value of a setting must be: a test, and the sentence that a failed system check shows."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import VERSION
from django.conf import settings

LONGEST_ID: Final = 200
#: Bytes of a Fernet key (https://github.com/fernet/spec).
KEY_LENGTH: Final = 32
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_DIRECTIVE: Final = re.compile(r"[a-z-]+")
#: Printable ASCII without what separates sources, directives and policies.
_SOURCE: Final = re.compile(r"[!-+\--:<-~]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{20,200}")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class Constraint(NamedTuple):
    """``holds`` takes values of any type: what it is given was typed by hand."""

    holds: Callable[[Any], bool]
    expected: str


def number(low: float, high: float, expected: str) -> Constraint:
    """A number from ``low`` to ``high``. A bool is a number for Python only."""
    return Constraint(lambda value: _is_number(value) and low <= value <= high, expected)


def whole_number(low: int, high: int, of: str = "") -> Constraint:
    """A whole number from ``low`` to ``high``."""
    unit = f" of {of}" if of else ""
    return Constraint(
        lambda value: isinstance(value, int) and _is_number(value) and low <= value <= high,
        f"Use a whole number{unit} from {low} to {high}.",
    )


def some_of(known: Sequence[str]) -> Constraint:
    """At least one of these names."""
    each_known = any_of(known)
    return Constraint(lambda value: bool(value) and each_known.holds(value), each_known.expected)


def any_of(known: Sequence[str]) -> Constraint:
    """A collection of known names, or an empty one. A text is none, although it has letters."""
    return Constraint(
        lambda value: (
            isinstance(value, (list, tuple, set, frozenset))
            and all(isinstance(each, str) and each in known for each in value)
        ),
        f"Use a list of some of these: {', '.join(known)}.",
    )


def _is_mailer(value: object) -> bool:
    known = getattr(settings, "MAILERS", {}) if VERSION >= (6, 1) else {}
    return value == "default" or (isinstance(value, str) and value in known)


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
    return is_this_machine(parts.hostname or "")


def is_this_machine(host: str) -> bool:
    """Whether this name or address, in lower case, is the machine's own."""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_domains(value: object) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and bool(value) and all(map(_is_domain, value))


def _is_domain(value: object) -> bool:
    return value == "*" or (isinstance(value, str) and _DOMAIN.fullmatch(value) is not None)


def _is_slug(value: object) -> bool:
    usable = isinstance(value, str) and 0 < len(value) <= LONGEST_ID
    return usable and str(value).isprintable() and not set("/?#% ") & set(str(value))


def _are_keys(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_key, value))


def _is_key(value: object) -> bool:
    # As cryptography reads it, which is loaded with the first secret only.
    try:
        return isinstance(value, (str, bytes)) and len(urlsafe_b64decode(value)) == KEY_LENGTH
    except ValueError:
        return False


def _is_site(value: object) -> bool:
    parts = split_url(value)
    return parts is not None and _PATH.fullmatch(parts.path) is not None


def _is_platform(value: object) -> bool:
    parts = split_url(value)
    # The client adds the paths: one more before them leads nowhere.
    if parts is None or parts.path not in ("", "/"):
        return False
    return parts.scheme == "https" or settings.DEBUG or is_local(parts)


def _is_policy(value: object) -> bool:
    if not isinstance(value, dict):
        return value == "site"
    return all(isinstance(key, str) and _DIRECTIVE.fullmatch(key) for key in value) and all(
        isinstance(sources, (list, tuple)) and all(map(_is_source, sources)) for sources in value.values()
    )


def _is_source(value: object) -> bool:
    return isinstance(value, str) and _SOURCE.fullmatch(value) is not None


def _is_zone(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(ZoneInfo(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        return False


SLUG: Final = Constraint(
    _is_slug, "Use the slug of your app as OpenTrain shows it under Settings, Developer."
)
ENCRYPTION_KEYS: Final = Constraint(
    _are_keys,
    "Use a list of one or more Fernet keys; `manage.py opentrain_generate_key` prints one. Where it is empty,"
    " the environment variable may not be set.",
)
PUBLIC_URL: Final = Constraint(
    _is_site,
    "Use scheme and host, such as `https://annotate.example.com`, and the path below which the site runs.",
)
PLATFORM_URL: Final = Constraint(
    _is_platform,
    "Use `https://app.opentrain.ai`, or a sandbox's URL, without a path. Plain http is for this machine, or for"
    " DEBUG.",
)
TIMEOUT: Final = number(0.001, 300, "Use a number of seconds above 0, at most 300.")
RETRIES: Final = whole_number(0, 10)
TIME_ZONE: Final = Constraint(_is_zone, "Use an IANA name, such as 'UTC' or 'America/New_York'.")
DOMAINS: Final = Constraint(_are_domains, "Use a list of domains, such as ['opentrain.work'], or ['*'].")
DAYS: Final = whole_number(0, 36_500, of="days")
POLICY: Final = Constraint(
    _is_policy,
    'Use a dict of directives with lists of sources, such as `{"img-src": ["\'self\'", "https://cdn.example.com"]}`;'
    " or 'site' where your own middleware sends the policy.",
)
METRICS_TOKEN: Final = Constraint(
    lambda value: value == "" or (isinstance(value, str) and _TOKEN.fullmatch(value) is not None),
    "Use 20 to 200 letters, digits and -._~ (`python -c 'import secrets; print(secrets.token_urlsafe())'` prints such"
    " a token), or '' for no metrics.",
)
MAILER: Final = Constraint(
    _is_mailer, "Use an alias in MAILERS; before Django 6.1, or without MAILERS, there is only 'default'."
)
