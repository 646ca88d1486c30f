"""Work over time: how much of each day, and what became of it, as a chart and in the same words as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db.models import QuerySet, Sum
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.models import Contract, DailyUsage
from django_opentrain.platform import catalog
from django_opentrain.web.presenters import charts
from django_opentrain.web.presenters.work import hours_and_minutes

#: Days that a chart covers, and so the rows that it asks for: as many, by status.
DAYS: Final = 30

Status = DailyUsage.Status
#: The lowest part of a column first, with its tone.
TONES: Final[Mapping[Status, str]] = {
    Status.REPORTED: "ok",
    Status.WITHHELD: "off",
    Status.DUE: "wait",
    Status.REFUSED: "bad",
}
Amounts = Mapping[tuple[date, Status], int]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What is counted: hours, labels or tasks."""

    column: str
    name: Promise
    title: Promise
    #: An amount, as it is read.
    said: Callable[[int], str]
    #: How many of the column's are one on the chart's scale.
    size: int = 1

    @property
    def sum(self) -> str:
        """What a day's sum is called in a query."""
        return f"sum_{self.column}"


def _count(number: int) -> str:
    return number_format(number, force_grouping=True)


HOURS: Final = Unit(
    column="total_seconds",
    name=gettext_lazy("Hours"),
    title=gettext_lazy("Hours per day"),
    said=hours_and_minutes,
    size=3600,
)
LABELS: Final = Unit(
    column="labels_completed",
    name=gettext_lazy("Labels"),
    title=gettext_lazy("Labels per day"),
    said=_count,
)
TASKS: Final = Unit(
    column="tasks_completed", name=gettext_lazy("Tasks"), title=gettext_lazy("Tasks per day"), said=_count
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """What of the work is in one status."""

    tone: str
    label: str
    amount: str


@dataclass(frozen=True, kw_only=True)
class Day:
    """A row of the table."""

    day: date
    parts: Sequence[Part]


@dataclass(frozen=True, kw_only=True)
class Course:
    """The chart, its legend with the sums, and its table: the newest day first, none without work."""

    title: str
    #: What the chart says, in a sentence.
    summary: str
    chart: charts.Chart
    #: The end of the scale.
    top: str
    legend: Sequence[Part]
    #: The ends of the axis.
    since: date
    until: date
    days: Sequence[Day]


def units_of(contract: Contract) -> tuple[Unit, ...]:
    """What of a contract's work is shown, first that by which it is paid."""
    by_label = contract.payment_type == catalog.PAY_PER_LABEL
    return (LABELS, HOURS, TASKS) if by_label else (HOURS, LABELS, TASKS)


def course(rows: QuerySet[DailyUsage], until: date, *units: Unit) -> Course | None:
    """Of the days up to ``until``, in the first unit of which there is any; None if there is none. One query."""
    since = until - timedelta(days=DAYS - 1)
    sums = {unit.sum: Sum(unit.column) for unit in units}
    keys = "work_date", "status", "hours_withheld"
    daily = list(rows.filter(work_date__range=(since, until)).order_by().values(*keys).annotate(**sums))
    for unit in units:
        if amounts := _amounts(daily, unit):
            return _course(amounts, unit, [since + timedelta(days=each) for each in range(DAYS)])
    return None


def _amounts(daily: Sequence[Mapping[str, Any]], unit: Unit) -> Amounts:
    amounts: Counter[tuple[date, Status]] = Counter()
    for row in daily:
        # The day is reported, its hours aren't.
        withheld = unit is HOURS and row["hours_withheld"]
        status = Status.WITHHELD if withheld else Status(row["status"])
        amounts[row["work_date"], status] += row[unit.sum] or 0
    return +amounts


def _course(amounts: Amounts, unit: Unit, days: Sequence[date]) -> Course:
    sums: Counter[Status] = Counter()
    for (_day, status), amount in amounts.items():
        sums[status] += amount
    shown = [status for status in TONES if sums[status]]
    legend = [_part(status, sums[status], unit) for status in shown]
    chart = charts.stacked([_column(day, amounts, unit) for day in days])
    lines = [
        Day(day=day, parts=[_part(status, amounts.get((day, status), 0), unit) for status in shown])
        for day in reversed(days)
        if any((day, status) in amounts for status in shown)
    ]
    return Course(
        title=str(unit.title),
        summary=", ".join(f"{part.label}: {part.amount}" for part in legend),
        chart=chart,
        top=_("%(amount)s h") % {"amount": chart.top} if unit is HOURS else _count(chart.top),
        legend=legend,
        since=days[0],
        until=days[-1],
        days=lines,
    )


def _part(status: Status, amount: int, unit: Unit) -> Part:
    label = str(status.label)
    return Part(tone=TONES[status], label=label[:1].upper() + label[1:], amount=unit.said(amount))


def _column(day: date, amounts: Amounts, unit: Unit) -> tuple[str, list[tuple[str, float]]]:
    found = [(status, amounts.get((day, status), 0)) for status in TONES]
    said = ", ".join(f"{status.label}: {unit.said(amount)}" for status, amount in found if amount)
    label = date_format(day, "SHORT_DATE_FORMAT")
    return f"{label}: {said or 0}", [(TONES[status], amount / unit.size) for status, amount in found]
