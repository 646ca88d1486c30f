"""The points that OpenTrain's documentation leaves open, and how a sandbox reads each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any


def _open(choices: str, meaning: str) -> Any:
    """An open point: the ways to read it, the default first, and what isn't said."""
    return field(default=choices.split("|", maxsplit=1)[0], metadata={"choices": choices, "meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Readings:
    """One reading of each open point. On the command line their names have hyphens."""

    decline: str = _open(
        "parameters|error|bare|page",
        "a decline sends back the parameters that came, an error as well, none of them, or doesn't redirect",
    )
    reconnect: str = _open(
        "any-site|same-site", "a reconnect revokes any earlier install, or one that returned to the same site"
    )
    created: str = _open("201|200", "the status that answers a creation")
    empty_fields: str = _open("null|absent", "a field without a value is sent as null, or left out")
    request_nulls: str = _open("refused|accepted", "null for an optional field is refused, or as if left out")
    day_seconds: str = _open("86400|90000", "the most totalSeconds of one day: some days have 25 hours")
    rate_limit: str = _open(
        "none|seconds|date|reset",
        "a 429 says nothing, or has Retry-After in seconds or as a date, or X-RateLimit-Reset",
    )
    retry_delays: str = _open(
        "between|since-first", "the retry delays count from the attempt before, or from the first failure"
    )
    failures: str = _open(
        "attempts|deliveries",
        "ten failed attempts disable an endpoint, or ten deliveries that used up theirs",
    )
    disabled: str = _open(
        "wait|fail", "what is pending when a platform disables its endpoint waits, or fails"
    )
    event_ids: str = _open("digits|prefixed|ulid", "event ids are digits, a prefix and digits, or ULIDs")
    contract_events: str = _open(
        "all|documented", "contract events have the keys of the API, or only those that are documented"
    )
    milestone_events: str = _open(
        "all|contract-id|contract",
        "milestone events have contractId, contract and projectLink, or one of the two",
    )
    revoked_events: str = _open("install|id|empty", "install.revoked has the install, its id, or no data")


def parse(assignment: str) -> tuple[str, str]:
    """``NAME=VALUE`` as a field of :class:`Readings` and its value. Raises ``ValueError``."""
    name, _, value = assignment.partition("=")
    for point in fields(Readings):
        if point.name == name.replace("-", "_"):
            choices = point.metadata["choices"]
            if value not in choices.split("|"):
                raise ValueError(f"{name} is one of {choices}")
            return point.name, value
    raise ValueError(f"no open point is called {name}")


def described() -> Iterator[str]:
    """``name=choices: meaning`` for each point, the default first."""
    for point in fields(Readings):
        yield f"{point.name.replace('_', '-')}={point.metadata['choices']}: {point.metadata['meaning']}"
