"""What the CSV files of days and of entries say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Final

from django_opentrain.explanations import reason_for_customers
from django_opentrain.models import DailyUsage, WorkEntry
from django_opentrain.web.presenters.work import Names, entry_lines
from django_opentrain.web.spreadsheets import Row

DAY_COLUMNS: Final = (
    "date",
    "contract",
    "contract_id",
    "trainer",
    "trainer_id",
    "seconds",
    "hours",
    "tasks",
    "labels",
    "status",
    "hours_withheld",
    "reported_at",
    "error",
)
ENTRY_COLUMNS: Final = (
    "at",
    "trainer",
    "trainer_id",
    "kind",
    "project",
    "project_id",
    "object",
    "claimed_seconds",
    "counted_seconds",
    "counted_hours",
    "tasks",
    "labels",
    "remark",
)
_MICROSECOND: Final = timedelta(microseconds=1)


def day_rows(rows: Iterable[DailyUsage]) -> Iterator[Row]:
    """A line for each; their contracts are loaded with trainers."""
    for row in rows:
        names = Names(row.contract)
        yield (
            row.work_date,
            str(row.contract),
            row.contract.opentrain_id,
            names.trainer(row.worker_id),
            names.trainer_id(row.worker_id),
            row.total_seconds,
            None if row.total_seconds is None else _hours(Decimal(row.total_seconds)),
            row.tasks_completed,
            row.labels_completed,
            row.status,
            row.hours_withheld,
            row.reported_at,
            reason_for_customers(row, "error"),
        )


def entry_rows(entries: Iterable[WorkEntry], names: Names) -> Iterator[Row]:
    """A line for each."""
    for line in entry_lines(entries, names):
        entry, counted = line.entry, _seconds(line.counted)
        yield (
            line.at,
            line.trainer,
            entry.opentrain_user_id,
            entry.kind,
            line.project,
            entry.external_project_id,
            entry.object_id,
            _seconds(entry.duration),
            counted,
            _hours(counted),
            entry.tasks,
            entry.labels,
            line.remark,
        )


def _seconds(time: timedelta) -> Decimal:
    """To the microsecond: the sum of a day's is its total."""
    whole = Decimal(time // _MICROSECOND) / 1_000_000
    return whole.quantize(Decimal(1)) if whole == whole.to_integral_value() else whole


def _hours(seconds: Decimal) -> Decimal:
    return (seconds / 3600).quantize(Decimal("0.0001"))
