"""What the admin's overview shows: what needs attention, and how things stand. Few statements, and reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import timezone as tz
from typing import Any, Final

from django.db.models import Count, F, Func, IntegerField, Min, Model, QuerySet, Value
from django.db.models.functions import TruncHour
from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Heartbeat,
    Install,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.services.conditions import CONDITIONS, Condition
from django_opentrain.services.health import schedule_conditions
from django_opentrain.services.usage.totals import today
from django_opentrain.services.workers.heartbeat import SWEEP

HOURS: Final = 48
DAYS: Final = 14
HOUR: Final = timedelta(hours=1)

#: By model: the columns by whose values its rows are counted.
STATES: Final[Mapping[type[Model], tuple[str, ...]]] = {
    Install: ("status",),
    WebhookEndpoint: ("status",),
    AccessGrant: ("desired", "state"),
    Contract: ("status", "budget_state"),
}

Counts = Mapping[tuple[Any, ...], int]


def conditions(models: Collection[type[Model]]) -> list[tuple[Condition, int]]:
    """The operators' conditions that rows of these models are in, the worst first, with how many. One statement."""
    of_models = [each for each in CONDITIONS.values() if each.for_operators and each.model in models]
    counts = dict(_union(_counted(each) for each in of_models))
    found = [(each, counts[each.name]) for each in of_models if counts.get(each.name)]
    return sorted(found, key=lambda pair: -pair[0].severity)


def _counted(condition: Condition) -> QuerySet[Any, Any]:
    # Not an aggregate of Django's, which would end the query before it can be one of several.
    count = Func(template="COUNT(*)", output_field=IntegerField())
    return condition.rows().order_by().values_list(Value(condition.name), count)


def states(models: Collection[type[Model]]) -> Mapping[type[Model], Counts]:
    """How many rows of each of these models are in which state, see ``STATES``. One statement."""
    of_models = {model._meta.model_name: model for model in STATES if model in models}
    counts: dict[type[Model], dict[tuple[Any, ...], int]] = {model: {} for model in of_models.values()}
    for name, first, second, count in _union(map(_grouped, of_models.values())):
        model = of_models[name]
        counts[model][(first, second)[: len(STATES[model])]] = count
    return counts


def _grouped(model: type[Model]) -> QuerySet[Any, Any]:
    first, *others = STATES[model]
    columns = {"kind": Value(model._meta.model_name), "first": F(first)}
    columns["second"] = F(others[0]) if others else Value("")
    rows = model._default_manager.order_by().values(**columns).annotate(count=Count("*"))
    counted: QuerySet[Any, Any] = rows.values_list("kind", "first", "second", "count")
    return counted


def _union(parts: Iterable[QuerySet[Any, Any]]) -> Iterable[tuple[Any, ...]]:
    first, *others = [*parts] or [Install.objects.none().values_list("pk")]
    return first.union(*others, all=True)


@dataclass(frozen=True, kw_only=True)
class Received:
    """Events by the hour in which they were received and by status; hours begin with UTC's."""

    hours: tuple[datetime, ...]
    counts: Counts


def received() -> Received:
    """The events of the last two days. One statement, by the index on their time."""
    # In UTC: for other time zones, MariaDB needs tables that may be missing.
    last = timezone.now().replace(minute=0, second=0, microsecond=0)
    hours = tuple(last - HOUR * age for age in reversed(range(HOURS)))
    rows = WebhookEvent.objects.filter(received_at__gte=hours[0]).order_by()
    hourly = rows.values(hour=TruncHour("received_at", tzinfo=tz.utc)).annotate(count=Count("*"))
    counts = {(hour, status): n for hour, status, n in hourly.values_list("hour", "status", "count")}
    return Received(hours=hours, counts=counts)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Events that wait, for a worker or for their next attempt."""

    count: int
    #: When the oldest was received.
    since: datetime | None


def pending() -> Pending:
    """All of them. One statement."""
    rows = WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING)
    return Pending(**rows.aggregate(count=Count("*"), since=Min("received_at")))


@dataclass(frozen=True, kw_only=True)
class Reported:
    """Days of work, by date and status."""

    days: tuple[date, ...]
    counts: Counts


def reported() -> Reported:
    """The work of the last two weeks. One statement."""
    until = today()
    days = tuple(until - timedelta(days=age) for age in reversed(range(DAYS)))
    # By each status, because the index begins with it.
    rows = DailyUsage.objects.filter(status__in=DailyUsage.Status.values, work_date__range=(days[0], until))
    daily = rows.order_by().values("work_date", "status").annotate(count=Count("*"))
    counts = {(day, status): n for day, status, n in daily.values_list("work_date", "status", "count")}
    return Reported(days=days, counts=counts)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Whether scheduled work runs."""

    beats: tuple[Heartbeat, ...]
    #: The names of what is wrong with it, as the doctor has them.
    conditions: tuple[str, ...]


def schedule() -> Schedule:
    """What ran when. One statement."""
    beats = tuple(Heartbeat.objects.order_by("name"))
    swept = next((beat.beat_at for beat in beats if beat.name == SWEEP), None)
    return Schedule(beats=beats, conditions=schedule_conditions(swept))
