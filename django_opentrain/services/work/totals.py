"""Daily totals: what follows from the ledger for one contract.

The person who acted, the day on which they acted, the contract that paid at that instant. A counter-entry counts on
the day on which it is made; a day is never below zero, and what remains is taken off the days after it. So what was
reported for a day stays, and the sum is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.models import Case, Exists, IntegerField, OuterRef, Q, When

from django_opentrain.adapters import DayUsage
from django_opentrain.models import AccessGrant, Contract, WorkEntry
from django_opentrain.models.work import OLDEST_OBSERVED, WorkEntryQuerySet
from django_opentrain.platform.catalog import SECONDS_PER_DAY
from django_opentrain.services.access.hours import Hours
from django_opentrain.services.access.payers import Place, hours_of
from django_opentrain.transactions import alias

_SECOND: Final = timedelta(seconds=1)
#: A host's transaction may commit what it observed this much later.
COMMITTED_LATER: Final = timedelta(minutes=10)
#: What is added to each entry.
_MINE: Final = "mine"


class Balance(NamedTuple):
    """What entries come to, signed: counter-entries may be more than a day's work."""

    seconds: int = 0
    tasks: int = 0
    labels: int = 0

    @classmethod
    def of(cls, counted: Any, tasks: Any, labels: Any) -> Balance:
        """Of a database's sums, None where nothing was added."""
        return cls(duration_of(counted) // _SECOND, int(tasks or 0), int(labels or 0))

    def plus(self, other: Balance) -> Balance:
        return Balance(*map(sum, zip(self, other, strict=True)))

    def debt(self) -> Balance:
        """What can't be taken off this day, as numbers below zero."""
        return Balance(*(min(number, 0) for number in self))


class Day(NamedTuple):
    """A trainer's day, and what is to be taken off the days after it."""

    usage: DayUsage
    debt: Balance


def duration_of(value: Any) -> timedelta:
    """What a database makes of durations in an expression: PostgreSQL intervals, others microseconds."""
    return value if isinstance(value, timedelta) else timedelta(microseconds=int(value or 0))


def day_totals(contract: Contract, since: date, until: date) -> Iterator[DayUsage]:
    """The totals of each trainer's day with entries from ``since`` to ``until``, both included.

    Zeros where another contract pays for all of them. What counter-entries take off a later day depends on the days
    before it: begin with the contract's first.
    """
    for day in balanced_days(hours_of(contract), since, until, {}):
        yield day.usage


def balanced_days(
    hours: dict[Place, list[Hours]], since: date, until: date, debts: Mapping[str, Balance]
) -> Iterator[Day]:
    """As ``day_totals`` of the contract whose hours these are, from any day on.

    With the ``debts`` of the days before, by OpenTrain's user id.
    """
    if not hours:
        return
    by_worker: defaultdict[str, dict[date, Balance]] = defaultdict(dict)
    for worker, day, balance in _balances(hours, since, until):
        by_worker[worker][day] = balance
    for worker, days in by_worker.items():
        yield from _without_debts(worker, days, debts.get(worker, Balance()))


def news() -> Exists:
    """Contracts one of whose trainers may have done something that was not there when it was collected."""
    before = OuterRef(OuterRef("usage_collected_at")) - COMMITTED_LATER
    entries = WorkEntry.objects.filter(
        opentrain_user_id=OuterRef("participant__opentrain_user_id"),
        # By the indexed column first: what is observed is at most a day old.
        at__gte=before - OLDEST_OBSERVED,
        observed_at__gte=before,
    )
    return Exists(AccessGrant.objects.filter(Exists(entries), contract=OuterRef("pk")))


# ----------------------------------------------------------------------------------------------


def candidates(hours: dict[Place, list[Hours]], since: date, until: date) -> WorkEntryQuerySet:
    """All entries of these trainers on these days, and those shortly before them.

    ``mine`` is 1 for those of these places and days that the contract pays, 0 for the others of them, and else None.
    """
    places = Q(pk__in=())
    for place in hours:
        places |= Q(**place._asdict())
    asked = Q(work_date__range=(since, until))
    trainers = {place.opentrain_user_id for place in hours}
    rows = WorkEntry.objects.filter(opentrain_user_id__in=trainers).counted(since, until)
    # One flag, and the usual first: comparing texts in each row is a good part of what a pass costs.
    # No BooleanField: of an empty condition Django 6.0 and newer make a cast that MySQL doesn't know.
    mine = Case(
        When(asked & paid_by(hours), then=1), When(asked & places, then=0), output_field=IntegerField()
    )
    return rows.annotate(**{_MINE: mine})


def paid_by(hours: dict[Place, list[Hours]]) -> Q:
    """Entries that the contract pays whose hours these are."""
    found = Q(pk__in=())
    for place, pieces in hours.items():
        for piece in pieces:
            found |= Q(**place._asdict()) & piece.condition("at")
    return found


def _balances(
    hours: dict[Place, list[Hours]], since: date, until: date
) -> Iterator[tuple[str, date, Balance]]:
    """The sums of each trainer's days, added up in the database: there may be many entries."""
    connection = connections[alias()]
    columns = ("opentrain_user_id", "work_date", "counted", "tasks", "labels", _MINE)
    entries, params = (
        candidates(hours, since, until)
        .order_by()
        .values(*columns)
        .query.get_compiler(using=connection.alias)
        .as_sql()
    )
    worker, day, *amounts, mine = map(connection.ops.quote_name, columns)
    sums = ", ".join(f"SUM(CASE WHEN {mine} = 1 THEN {amount} END)" for amount in amounts)
    with connection.cursor() as cursor:
        # Django adds up no window expressions.
        cursor.execute(
            f"SELECT {worker}, {day}, {sums} FROM ({entries}) entries"  # noqa: S608 - our own words
            f" WHERE {mine} IS NOT NULL GROUP BY {worker}, {day}",
            params,
        )
        for row in cursor.fetchall():
            yield row[0], date.fromisoformat(str(row[1])), Balance.of(*row[2:])


def _without_debts(worker: str, days: dict[date, Balance], debt: Balance) -> Iterator[Day]:
    for day, entries in sorted(days.items()):
        balance = debt.plus(entries)
        debt = balance.debt()
        usage = DayUsage(
            work_date=day,
            worker_id=worker,
            total_seconds=min(max(balance.seconds, 0), SECONDS_PER_DAY),
            tasks_completed=max(balance.tasks, 0),
            labels_completed=max(balance.labels, 0),
        )
        yield Day(usage, debt)
