"""A contract's days from the work ledger, and what counter-entries take off the days after them.

What is owed is stored with each day, so that totals can be derived from any day on: from the last few, where only
they can have changed, and without the days whose entries are purged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Final

from django_opentrain.adapters import DayUsage
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.services.access.hours import Hours
from django_opentrain.services.access.payers import Place
from django_opentrain.services.usage.measuring import measures_time
from django_opentrain.services.usage.totals import normal_worker
from django_opentrain.services.work.days import oldest_derived_day
from django_opentrain.services.work.totals import Balance, Day, balanced_days

#: Of ``DailyUsage``, in the order of a ``Balance``.
_OWED: Final = ("owed_seconds", "owed_tasks", "owed_labels")

#: To be raised where entries come to something else than before: then all days are derived anew.
_RULES: Final = 1

#: A day's row: its worker, "" for the hired trainer, and its date.
Key = tuple[str, date]


def basis_of(hours: dict[Place, list[Hours]], since: date) -> str:
    """What the derived days depend on, other than the entries: as long as it stays, days of before stay.

    ``since`` is the contract's first day.
    """
    pieces = sorted((place, [(each.since, each.until) for each in times]) for place, times in hours.items())
    basis = repr((_RULES, since, measures_time(), pieces))
    return hashlib.sha256(basis.encode()).hexdigest()


def observed_days(
    contract: Contract, hours: dict[Place, list[Hours]], since: date, until: date
) -> dict[Key, Day]:
    """The days on which something counts, is owed or was owed before, and those that are stored.

    Zeros where there was work before for which another contract pays, as was learned since.
    """
    since = max(since, oldest_derived_day())
    rows = DailyUsage.objects.filter(contract=contract)
    stored = {(row.worker_id, row.work_date): row for row in rows.filter(work_date__gte=since)}
    hired = contract.trainer.opentrain_user_id if contract.trainer else ""
    # Days without entries, which the host has recorded, say nothing of what is owed.
    before = rows.filter(work_date__lt=since, owed_seconds__isnull=False).order_by("work_date")
    debts = {worker or hired: _debt(owed) for worker, *owed in before.values_list("worker_id", *_OWED)}
    days, left = {}, dict(debts)
    for day in balanced_days(hours, since, until, debts):
        worker = day.usage.worker_id
        key = normal_worker(contract, worker), day.usage.work_date
        usage = _as_measured(day.usage, stored.get(key))
        # A day on which all that was owed is worked off says that: its row ends the debt of the row before.
        owes = any(left.get(worker, ())) or any(day.debt)
        if key in stored or owes or _counts(usage):
            days[key] = Day(usage, day.debt)
        left[worker] = day.debt
    return days


def owed_columns(day: Day) -> Mapping[str, int]:
    """What the day's row says is to be taken off later days."""
    return {column: -number for column, number in zip(_OWED, day.debt, strict=True)}


def _debt(owed: Iterable[int]) -> Balance:
    return Balance(*(-number for number in owed))


def _as_measured(usage: DayUsage, row: DailyUsage | None) -> DayUsage:
    """Without seconds where none are measured: unknown, not none, as OpenTrain may have some from elsewhere."""
    if usage.total_seconds or measures_time() or (row and row.total_seconds):
        return usage
    return replace(usage, total_seconds=None)


def _counts(usage: DayUsage) -> bool:
    return any((usage.total_seconds, usage.tasks_completed, usage.labels_completed))
