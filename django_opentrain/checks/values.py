"""The ``OPENTRAIN`` dict: its keys, and what each value has to look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage

from django_opentrain.checks.messages import (
    configured,
    error,
    is_local,
    split_url,
    value_of,
    warning,
)
from django_opentrain.conf import DEFAULTS, REQUIRED, SETTING
from django_opentrain.platform import catalog

LONGEST_ID: Final = 200
#: Seconds for which one call may last at most: the lease that keeps others from calling at the same time is longer.
LONGEST_CALL: Final = 240
#: Without these an end of access is only found by the next reconciliation.
URGENT_EVENTS: Final = (catalog.CONTRACT_STARTED, catalog.CONTRACT_ENDED, catalog.INSTALL_REVOKED)

Rule = tuple[int, tuple[str, ...], Callable[[Any], bool], str]


def check_values(**_options: Any) -> list[CheckMessage]:
    """Every key and value of the setting."""
    if not configured():
        text = f"The setting {SETTING} is missing, empty, or not a dict."
        return [error(1, text, f"Add a dict with {', '.join(REQUIRED)}.")]
    return [*_keys(), *_wrong_values(), *_insecure_origin(), *_doubtful_values()]


def _keys() -> Iterator[CheckMessage]:
    known = (*REQUIRED, *DEFAULTS)
    for key in configured():
        if key not in known:
            similar = get_close_matches(str(key).upper(), known, n=1)
            hint = f"Is it {similar[0]}?" if similar else "Remove it."
            yield error(2, f"{SETTING} has an unknown key: {key!r}.", hint)
    for key in REQUIRED:
        if key not in configured():
            yield error(3, f"{SETTING} lacks the required key {key!r}.", "It has no default: add it.")


def _wrong_values() -> Iterator[CheckMessage]:
    for number, keys, is_right, expected in RULES:
        for key in keys:
            # A missing one is either required, which is said elsewhere, or has a default, which is right.
            if key in configured() and not is_right(configured()[key]):
                yield error(number, f"{SETTING}[{key!r}] is not what it has to be.", expected)


def _insecure_origin() -> Iterator[CheckMessage]:
    parts = split_url(value_of("PUBLIC_URL"))
    if parts is not None and parts.scheme == "http" and not settings.DEBUG and not is_local(parts):
        text = f"{SETTING}['PUBLIC_URL'] is not https."
        yield error(7, text, "OpenTrain delivers webhooks to https only; tokens are pasted on these pages.")


def _doubtful_values() -> Iterator[CheckMessage]:
    types = value_of("EVENT_TYPES")
    missing = [each for each in URGENT_EVENTS if _are_known(catalog.EVENT_TYPES)(types) and each not in types]
    if missing:
        text = f"{SETTING}['EVENT_TYPES'] leaves out {', '.join(missing)}."
        yield warning(1, text, "What they would tell is only found by the hourly reconciliation.")
    keys = ("CONNECT_TIMEOUT", "READ_TIMEOUT", "MAX_RETRIES")
    connect, read, retries = (value_of(key) for key in keys)
    if (
        _is_timeout(connect)
        and _is_timeout(read)
        and _is_count_of_retries(retries)
        and (connect + read) * (retries + 1) > LONGEST_CALL
    ):
        text = f"One call may take longer than {LONGEST_CALL} s: by {', '.join(keys)}."
        yield warning(
            2, text, "Another worker may take it for dead and begin the same call. Lower one of them."
        )


# What is right --------------------------------------------------------------------------------


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: _is_number(value) and low <= value <= high


def _whole_between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and _between(low, high)(value)


_is_timeout: Final = _between(0.001, 300)
_is_count_of_retries: Final = _whole_between(0, 10)


def _are_known(known: tuple[str, ...]) -> Callable[[Any], bool]:
    """A text is a sequence, too: of letters, none of which is known."""
    return lambda value: (
        isinstance(value, (list, tuple, set, frozenset))
        and bool(value)
        and all(isinstance(each, str) and each in known for each in value)
    )


def _is_slug(value: object) -> bool:
    usable = isinstance(value, str) and 0 < len(value) <= LONGEST_ID
    return usable and str(value).isprintable() and not set("/?#% ") & set(str(value))


def _are_keys(value: object) -> bool:
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return all(_is_key(each) for each in value)


def _is_key(value: object) -> bool:
    if not isinstance(value, (str, bytes)):
        return False
    try:
        Fernet(value)
    except ValueError:
        return False
    return True


def _is_origin(value: object) -> bool:
    parts = split_url(value)
    return parts is not None and parts.path in ("", "/")


def _is_platform(value: object) -> bool:
    parts = split_url(value)
    if parts is None:
        return False
    return parts.scheme == "https" or settings.DEBUG or is_local(parts)


def _is_zone(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(ZoneInfo(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        return False


RULES: Final[tuple[Rule, ...]] = (
    (4, ("APP_SLUG",), _is_slug, "Use the slug of your app as OpenTrain shows it under Settings, Developer."),
    (
        5,
        ("ENCRYPTION_KEYS",),
        _are_keys,
        (
            "Use a list of one or more Fernet keys; `manage.py opentrain_generate_key` prints one. Where it is empty,"
            " the environment variable may not be set."
        ),
    ),
    (
        6,
        ("PUBLIC_URL",),
        _is_origin,
        "Use the site's origin, such as 'https://annotate.example.com': scheme and host, no path.",
    ),
    (
        11,
        ("BASE_URL",),
        _is_platform,
        f"Use {DEFAULTS['BASE_URL']!r}, or a sandbox's URL. Plain http is for this machine, or for DEBUG.",
    ),
    (
        12,
        ("SCOPES",),
        _are_known(catalog.SCOPES),
        f"Use a list of some of these: {', '.join(catalog.SCOPES)}.",
    ),
    (
        13,
        ("EVENT_TYPES",),
        _are_known(catalog.EVENT_TYPES),
        f"Use a list of some of these: {', '.join(catalog.EVENT_TYPES)}.",
    ),
    (
        14,
        ("CONNECT_TIMEOUT", "READ_TIMEOUT"),
        _is_timeout,
        "Use a number of seconds above 0, at most 300.",
    ),
    (15, ("MAX_RETRIES",), _is_count_of_retries, "Use a whole number from 0 to 10."),
    (16, ("SIGNATURE_TOLERANCE",), _whole_between(1, 3600), "Use a whole number of seconds from 1 to 3600."),
    (
        17,
        ("MAX_WEBHOOK_BYTES",),
        _whole_between(4096, 104_857_600),
        "Use a whole number of bytes from 4096 to 104857600.",
    ),
    (18, ("USAGE_TIME_ZONE",), _is_zone, "Use an IANA name, such as 'UTC' or 'America/New_York'."),
    (19, ("REVOKE_GRACE",), _whole_between(0, 2_592_000), "Use a whole number of seconds, at most 30 days."),
    (
        20,
        ("EVENT_RETENTION_DAYS", "PII_RETENTION_DAYS"),
        _whole_between(0, 36_500),
        "Use a whole number of days, 0 or more.",
    ),
    (21, ("REMOVAL_BREAKER",), _between(0, 1), "Use a share between 0 and 1."),
    (
        22,
        ("DISPATCH",),
        lambda value: value in ("celery", "none"),
        "Use 'celery', or 'none' where `manage.py opentrain_work` does the work.",
    ),
)
