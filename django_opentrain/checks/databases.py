"""The databases. Run where they may be queried: by ``migrate``, ``check --database NAME`` and the doctor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.db import DatabaseError, connections

from django_opentrain.checks.messages import configured, value_of, warning


def check_databases(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Those that the command names; Django names none to a plain ``check``."""
    if not configured():
        return []
    return [message for alias in databases or () for message in _time_zones(alias)]


def _time_zones(alias: str) -> Iterator[CheckMessage]:
    connection = connections[alias]
    if value_of("USAGE_TIME_ZONE") in ("UTC", connection.timezone_name):
        return
    try:
        known = connection.features.has_zoneinfo_database
    except DatabaseError:
        return  # it can't be reached, as whatever runs this says itself
    if not known:
        text = f"The database '{alias}' has no time zone tables: days in USAGE_TIME_ZONE are NULL in its queries."
        hint = (
            "Load them with mysql_tzinfo_to_sql: without them the adapter doesn't know the day of the work."
        )
        yield warning(12, text, hint)
