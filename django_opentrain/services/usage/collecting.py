"""Collecting usage from the host: which days to ask the adapter for, and what of its answer is new."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from typing import Any, Final

from django.utils import timezone

from django_opentrain.adapters import DayUsage, get_adapter
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.services.usage.totals import (
    TOTALS,
    checked_totals,
    normal_worker,
    record,
    row_key,
    today,
    work_day,
)

logger = logging.getLogger(__name__)

#: What is asked for each time; once a day all days are.
RECENT: Final = timedelta(days=3)


#: Days after a contract's end during which late work is still collected.
COLLECT_AFTER_END: Final = timedelta(days=7)


#: Rows written by one statement.
BATCH: Final = 500


def collect(contract: Contract, *, recent_only: bool = False) -> int:
    """Ask the adapter for the contract's days and record what changed; returns how many days did.

    All of its days are asked for, so that late work and corrections of old days come in too; with ``recent_only``
    the last few.
    """
    # When it began: what ends after midnight has not asked for the new day.
    asked_at = timezone.now()
    since, until = _days_of(contract)
    if recent_only:
        since = max(since, until - RECENT)
    days = _merged(contract, get_adapter().collect_usage(contract, since, until))
    days = {key: day for key, day in days.items() if since <= day.work_date <= until}
    rows = DailyUsage.objects.filter(contract=contract, work_date__gte=since)
    known = {(row.worker_id, row.work_date): row for row in rows}
    fresh = [_new_row(contract, day) for key, day in days.items() if key not in known]
    changed = [day for key, day in days.items() if key in known and _differs(known[key], day)]
    DailyUsage.objects.bulk_create(fresh, batch_size=BATCH, ignore_conflicts=True)
    for day in changed:
        record(contract, day.work_date, worker_id=day.worker_id, **_totals(day))
    Contract.objects.filter(pk=contract.pk).update(usage_collected_at=asked_at)
    return len(fresh) + len(changed)


def collected_today(contract: Contract) -> bool:
    """Whether all days of the contract have been asked for since midnight."""
    return contract.usage_collected_at is not None and work_day(contract.usage_collected_at) == today()


def _days_of(contract: Contract) -> tuple[date, date]:
    """The first and last day on which there can be work under this contract; what follows may be another one's.

    OpenTrain tells its start as a day, which begins in UTC.
    """
    begin = contract.created_at
    if contract.start_date is not None:
        begin = datetime.combine(contract.start_date, time.min, tz.utc)
    until = work_day(contract.ended_at) if contract.ended_at else today()
    return min(work_day(begin), until), until


def _merged(contract: Contract, days: Iterable[DayUsage]) -> dict[tuple[str, date], DayUsage]:
    return {
        (normal_worker(contract, day.worker_id), day.work_date): day
        for day in days
        if _is_possible(contract, day)
    }


def _is_possible(contract: Contract, day: DayUsage) -> bool:
    """A day that can't be true must not keep the others from being paid."""
    try:
        checked_totals(day.total_seconds, day.tasks_completed, day.labels_completed)
        row_key(contract, day.work_date, day.worker_id)
    except (TypeError, ValueError) as error:
        logger.error("The adapter's usage of contract %s on %s: %s", contract.pk, day.work_date, error)
        return False
    return True


def _totals(day: DayUsage) -> dict[str, Any]:
    return {name: value for name in TOTALS if (value := getattr(day, name)) is not None}


def _differs(row: DailyUsage, day: DayUsage) -> bool:
    return any(getattr(row, name) != value for name, value in _totals(day).items())


def _new_row(contract: Contract, day: DayUsage) -> DailyUsage:
    return DailyUsage(**row_key(contract, day.work_date, day.worker_id), **_totals(day))
