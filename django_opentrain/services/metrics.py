"""What monitoring reads: how things stand, and what has been counted. Few statements, and reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Model

from django_opentrain.models import Counter, DailyUsage
from django_opentrain.services import overview
from django_opentrain.services.conditions import CONDITIONS, Severity
from django_opentrain.services.health import BEAT_SILENT, CLOCK_SET_BACK

#: The conditions of the schedule, which no row is in.
SCHEDULE_CONDITIONS: Final = (BEAT_SILENT, CLOCK_SET_BACK)
#: Days that wait for something. Those that were reported are history, and many.
WAITING: Final = (DailyUsage.Status.DUE, DailyUsage.Status.WITHHELD, DailyUsage.Status.REFUSED)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The site at one moment."""

    #: By name and severity: how many rows are in this condition; of the schedule 1 or 0.
    conditions: Mapping[tuple[str, str], int]
    #: By model, see ``overview.STATES``.
    states: Mapping[type[Model], overview.Counts]
    pending: overview.Pending
    #: Days of work by status: those that wait.
    usage: Mapping[str, int]
    #: When each kind of scheduled work last ran.
    beats: Mapping[str, datetime]
    counters: tuple[Counter, ...]


def snapshot() -> Snapshot:
    """Six statements."""
    schedule = overview.schedule()
    waiting = (
        DailyUsage.objects.filter(status__in=WAITING).order_by().values("status").annotate(count=Count("*"))
    )
    return Snapshot(
        conditions={**_conditions(), **_schedule_conditions(schedule)},
        states=overview.states(list(overview.STATES)),
        pending=overview.pending(),
        usage={**dict.fromkeys(map(str, WAITING), 0), **dict(waiting.values_list("status", "count"))},
        beats={beat.name: beat.beat_at for beat in schedule.beats},
        counters=tuple(Counter.objects.order_by("metric", "label", "detail")),
    )


def _conditions() -> dict[tuple[str, str], int]:
    """Also those that no row is in: an alert needs a number to compare with."""
    of_operators = [each for each in CONDITIONS.values() if each.for_operators]
    counts = {each.name: count for each, count in overview.conditions({each.model for each in of_operators})}
    return {(each.name, each.severity.name.lower()): counts.get(each.name, 0) for each in of_operators}


def _schedule_conditions(schedule: overview.Schedule) -> dict[tuple[str, str], int]:
    severity = Severity.ERROR.name.lower()
    return {(name, severity): int(name in schedule.conditions) for name in SCHEDULE_CONDITIONS}
