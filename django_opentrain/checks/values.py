"""The ``OPENTRAIN`` dict: its keys, and what each value has to look like."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage

from django_opentrain.checks.messages import configured, error, value_of, warning
from django_opentrain.conf import SETTING, SETTINGS
from django_opentrain.constraints import is_local, split_url
from django_opentrain.platform import catalog
from django_opentrain.platform.deadlines import MAX_CALL_SECONDS

#: Without these an end of access is only found by the next reconciliation.
URGENT_EVENTS: Final = (catalog.CONTRACT_STARTED, catalog.CONTRACT_ENDED, catalog.INSTALL_REVOKED)
#: By these follows how long one call may last.
CALL_KEYS: Final = ("CONNECT_TIMEOUT", "READ_TIMEOUT", "MAX_RETRIES")
REQUIRED: Final = tuple(key for key, setting in SETTINGS.items() if setting.default is None)


def check_values(**_options: Any) -> list[CheckMessage]:
    """Every key and value of the setting."""
    if not configured():
        text = f"The setting {SETTING} is missing, empty, or not a dict."
        return [error(1, text, f"Add a dict with {', '.join(REQUIRED)}.")]
    return [*_keys(), *_wrong_values(), *_insecure_origin(), *_missing_events(), *_long_calls(), *_metrics()]


def _keys() -> Iterator[CheckMessage]:
    for key in configured():
        if key not in SETTINGS:
            similar = get_close_matches(str(key).upper(), SETTINGS, n=1)
            hint = f"Is it {similar[0]}?" if similar else "Remove it."
            yield error(2, f"{SETTING} has an unknown key: {key!r}.", hint)
    for key in REQUIRED:
        if key not in configured():
            yield error(3, f"{SETTING} lacks the required key {key!r}.", "It has no default: add it.")


def _wrong_values() -> Iterator[CheckMessage]:
    for key, setting in SETTINGS.items():
        # A missing one is either required, which is said elsewhere, or has a default, which is right.
        if key in configured() and setting.constraint and not _is_right(key):
            text = f"{SETTING}[{key!r}] is not what it has to be."
            yield error(setting.check, text, setting.constraint.expected)


def _is_right(key: str) -> bool:
    constraint = SETTINGS[key].constraint
    return constraint is None or constraint.holds(value_of(key))


def _insecure_origin() -> Iterator[CheckMessage]:
    parts = split_url(value_of("PUBLIC_URL"))
    if parts is not None and parts.scheme == "http" and not settings.DEBUG and not is_local(parts):
        text = f"{SETTING}['PUBLIC_URL'] is not https."
        yield error(7, text, "OpenTrain delivers webhooks to https only; tokens are pasted on these pages.")


def _missing_events() -> Iterator[CheckMessage]:
    types = value_of("EVENT_TYPES")
    missing = [each for each in URGENT_EVENTS if _is_right("EVENT_TYPES") and each not in types]
    if missing:
        text = f"{SETTING}['EVENT_TYPES'] leaves out {', '.join(missing)}."
        yield warning(1, text, "What they say is only found by the hourly reconciliation.")


def _long_calls() -> Iterator[CheckMessage]:
    connect, read, retries = map(value_of, CALL_KEYS)
    if all(map(_is_right, CALL_KEYS)) and (connect + read) * (retries + 1) > MAX_CALL_SECONDS:
        limit = f"the {MAX_CALL_SECONDS:g} s that a call may take"
        text = f"Not every retry fits into {limit}: by {', '.join(CALL_KEYS)}."
        yield warning(2, text, "A call ends then, whatever retries are left. Lower one of them.")


def _metrics() -> Iterator[CheckMessage]:
    if value_of("METRICS_TOKEN") and find_spec("prometheus_client") is None:
        text = f"{SETTING}['METRICS_TOKEN'] is set, and the package prometheus-client is missing."
        yield error(39, text, "pip install 'django-opentrain[metrics]'")
