"""The ``OPENTRAIN`` dict: its keys, and what each value has to look like."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage

from django_opentrain.checks.messages import CheckId, configured, message, value_of
from django_opentrain.conf import SETTING, SETTINGS
from django_opentrain.constraints import is_local, split_url
from django_opentrain.platform import catalog
from django_opentrain.platform.deadlines import MAX_CALL_SECONDS

#: Without these an end of access is only found by the next reconciliation.
URGENT_EVENTS: Final = (catalog.CONTRACT_STARTED, catalog.CONTRACT_ENDED, catalog.INSTALL_REVOKED)
#: By these follows how long one call may last.
CALL_KEYS: Final = ("CONNECT_TIMEOUT", "READ_TIMEOUT", "MAX_RETRIES")
REQUIRED: Final = tuple(key for key, setting in SETTINGS.items() if setting.default is None)


#: There is no `OPENTRAIN` in the settings, or it is empty or not a dict. It needs at least `APP_SLUG`,
#: `ENCRYPTION_KEYS` and `PUBLIC_URL`.
E001: Final = CheckId("E001")


def check_values(**_options: Any) -> list[CheckMessage]:
    """Every key and value of the setting."""
    if not configured():
        text = f"The setting {SETTING} is missing, empty, or not a dict."
        return [message(E001, text, f"Add a dict with {', '.join(REQUIRED)}.")]
    return [*_keys(), *_wrong_values(), *_insecure_origin(), *_missing_events(), *_long_calls(), *_metrics()]


#: `OPENTRAIN` has an unknown key, so the value that you meant to set isn't set. Keys are in capitals.
E002: Final = CheckId("E002")
#: A key that has no default is missing: `APP_SLUG`, `ENCRYPTION_KEYS` or `PUBLIC_URL`.
E003: Final = CheckId("E003")


def _keys() -> Iterator[CheckMessage]:
    for key in configured():
        if key not in SETTINGS:
            similar = get_close_matches(str(key).upper(), SETTINGS, n=1)
            hint = f"Is it {similar[0]}?" if similar else "Remove it."
            yield message(E002, f"{SETTING} has an unknown key: {key!r}.", hint)
    for key in REQUIRED:
        if key not in configured():
            yield message(E003, f"{SETTING} lacks the required key {key!r}.", "It has no default: add it.")


def _wrong_values() -> Iterator[CheckMessage]:
    for key, setting in SETTINGS.items():
        # A missing one is either required, which is said elsewhere, or has a default, which is right.
        if key in configured() and setting.constraint and not _is_right(key):
            text = f"{SETTING}[{key!r}] is not what it has to be."
            yield message(CheckId(setting.check), text, setting.constraint.expected)


def _is_right(key: str) -> bool:
    constraint = SETTINGS[key].constraint
    return constraint is None or constraint.holds(value_of(key))


#: `PUBLIC_URL` is plain `http`, outside of `DEBUG`, and isn't this machine. OpenTrain delivers to `https`
#: only, and customers paste their token on these pages.
E007: Final = CheckId("E007")


def _insecure_origin() -> Iterator[CheckMessage]:
    parts = split_url(value_of("PUBLIC_URL"))
    if parts is not None and parts.scheme == "http" and not settings.DEBUG and not is_local(parts):
        text = f"{SETTING}['PUBLIC_URL'] is not https."
        yield message(
            E007, text, "OpenTrain delivers webhooks to https only; tokens are pasted on these pages."
        )


#: `EVENT_TYPES` leaves out an event on which access depends. Nothing is lost, but the change is found up to
#: an hour later, by reconciliation.
W001: Final = CheckId("W001")


def _missing_events() -> Iterator[CheckMessage]:
    types = value_of("EVENT_TYPES")
    missing = [each for each in URGENT_EVENTS if _is_right("EVENT_TYPES") and each not in types]
    if missing:
        text = f"{SETTING}['EVENT_TYPES'] leaves out {', '.join(missing)}."
        yield message(W001, text, "What they say is only found by the hourly reconciliation.")


#: With these timeouts and retries one call could take longer than 240 seconds, after which it is aborted,
#: even if retries are left: the lease that keeps other workers from making the same call at the same time
#: would expire.
W002: Final = CheckId("W002")


def _long_calls() -> Iterator[CheckMessage]:
    connect, read, retries = map(value_of, CALL_KEYS)
    if all(map(_is_right, CALL_KEYS)) and (connect + read) * (retries + 1) > MAX_CALL_SECONDS:
        limit = f"the {MAX_CALL_SECONDS:g} s that a call may take"
        text = f"Not every retry fits into {limit}: by {', '.join(CALL_KEYS)}."
        yield message(W002, text, "A call ends then, whatever retries are left. Lower one of them.")


#: `METRICS_TOKEN` is set, and the package that writes [the metrics](docs/how-to/monitor.md#metrics) isn't
#: installed: `pip install 'django-opentrain[metrics]'`.
E039: Final = CheckId("E039")


def _metrics() -> Iterator[CheckMessage]:
    if value_of("METRICS_TOKEN") and find_spec("prometheus_client") is None:
        text = f"{SETTING}['METRICS_TOKEN'] is set, and the package prometheus-client is missing."
        yield message(E039, text, "pip install 'django-opentrain[metrics]'")
