"""OpenTrain's documented limits, checked before anything is sent. All raise ``InvalidRequest``."""

from __future__ import annotations

from collections.abc import Sequence

from django_opentrain.platform import catalog
from django_opentrain.platform.errors import InvalidRequest
from django_opentrain.platform.resources import UsageEntry


def check_required(name: str, value: str) -> None:
    """What OpenTrain can't do without."""
    if not value:
        raise InvalidRequest(f"{name} must not be empty.")


def check_length(name: str, value: str | None, limit: int) -> None:
    """Texts have a longest length, in characters."""
    if value is not None and len(value) > limit:
        raise InvalidRequest(f"{name} has {len(value)} characters; OpenTrain takes at most {limit}.")


def check_one_of(name: str, value: str | None, allowed: Sequence[str]) -> None:
    """A choice among fixed values; None is left out of the request."""
    if value is not None and value not in allowed:
        raise InvalidRequest(f"{name} must be one of {', '.join(allowed)}.")


def check_page_size(limit: int | None) -> None:
    """GET /contracts takes a limit from 1 to 200."""
    if limit is not None and not 1 <= limit <= catalog.MAX_CONTRACTS_PER_PAGE:
        raise InvalidRequest(f"limit must be from 1 to {catalog.MAX_CONTRACTS_PER_PAGE}.")


def check_some_change(**changes: object) -> None:
    """An update changes something."""
    if not any(changes.values()):
        raise InvalidRequest(f"Nothing to change: give at least one of {', '.join(changes)}.")


def check_event_types(event_types: Sequence[str]) -> None:
    """An endpoint subscribes to one event type at least."""
    if not event_types:
        raise InvalidRequest("A webhook endpoint needs at least one event type.")


def check_entries(entries: Sequence[UsageEntry]) -> None:
    """1 to 100 entries; each has checked itself."""
    if not 1 <= len(entries) <= catalog.MAX_USAGE_ENTRIES:
        raise InvalidRequest(
            f"A usage report has 1 to {catalog.MAX_USAGE_ENTRIES} entries, not {len(entries)}."
        )
