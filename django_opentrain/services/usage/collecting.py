"""Collecting usage from the host: which days to request from the adapter, and what has changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from typing import Final

from django.utils import timezone
from django.utils.translation import ngettext

from django_opentrain.adapters import DayUsage, get_adapter
from django_opentrain.conflicts import retried
from django_opentrain.explanations import Reason
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.platform.redaction import redact
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.services.access.payers import hours_of
from django_opentrain.services.usage.ledger import Key, basis_of, observed_days, owed_columns
from django_opentrain.services.usage.totals import (
    differences,
    entry_columns,
    is_withheld,
    normal_worker,
    refresh_trainer,
    row_key,
    today,
    withheld_until,
    write,
)
from django_opentrain.services.work import corrections
from django_opentrain.services.work.days import work_day
from django_opentrain.services.work.totals import Day

logger = logging.getLogger(__name__)

#: The days that are requested each time; once a day all days are.
RECENT: Final = timedelta(days=3)


#: Rows written by one statement.
BATCH: Final = 500


def collect(contract: Contract, *, recent_only: bool = False) -> int:
    """Request the contract's days from the adapter and record what changed; returns how many days did.

    All of its days are requested, so that late work and corrections of old days are recorded too; with
    ``recent_only`` the last few. Invalid days are left out, and ``Contract.collect_error`` says so. If the adapter's
    host observes work, the days are the ledger's; ``recent_only`` are those since it was collected, or all if it
    has been learned since that other hours are the contract's. Raises what the adapter raises.
    """
    # The time of the request: one that ends after midnight has not requested the new day.
    asked_at = timezone.now()
    since, until = _days_of(contract)
    days: Iterable[DayUsage]
    observed: dict[Key, Day] = {}
    basis = ""
    if get_adapter().observes_work:
        # Also after the contract's end: until access is closed, there can be work.
        until = today()
        refresh_trainer(contract)
        observed, basis = _derived(contract, since, until, recent_only=recent_only)
        days = [day.usage for day in observed.values()]
    else:
        first = _first(since, until, recent_only=recent_only)
        days = list(get_adapter().collect_usage(contract, first, until))
        # After the host's code, which takes its time.
        refresh_trainer(contract)
    entries, problems = _entries(contract, days)
    changed = _save(contract, [entry for entry in entries if since <= entry.work_date <= until], observed)
    Contract.objects.filter(pk=contract.pk).update(
        usage_collected_at=asked_at,
        usage_basis=basis,
        collect_attempts=0,
        next_collect_at=None,
        **Reason.note(_left_out(contract, problems)).columns("collect_error"),
    )
    return changed


def correct(
    contract: Contract,
    work_date: date,
    *,
    seconds: int = 0,
    tasks: int = 0,
    labels: int = 0,
    reason: str,
    by: str,
    worker_id: str = "",
    key: str = "",
) -> None:
    """Correct one trainer's day in the work ledger (see ``work.correct``) and collect the contract's days at once.

    The corrected day is reported anew, also long after the contract's end. Raises ``OperationRefused``.
    """
    corrections.correct(
        contract,
        work_date,
        seconds=seconds,
        tasks=tasks,
        labels=labels,
        reason=reason,
        by=by,
        worker_id=worker_id,
        key=key,
    )
    collect(contract)


def knows_older_days(contract: Contract) -> bool:
    """Whether the last days are enough: a ledger's older ones change only with what they depend on."""
    return get_adapter().observes_work or collected_today(contract)


def collected_today(contract: Contract) -> bool:
    """Whether all days of the contract have been requested since midnight."""
    return contract.usage_collected_at is not None and work_day(contract.usage_collected_at) == today()


def _days_of(contract: Contract) -> tuple[date, date]:
    """The first and last day on which there can be work under this contract; other days may be another contract's.

    OpenTrain reports its start as a day, which begins in UTC.
    """
    begin = contract.created_at
    if contract.start_date is not None:
        begin = datetime.combine(contract.start_date, time.min, tz.utc)
    until = work_day(contract.ended_at) if contract.ended_at else today()
    return min(work_day(begin), until), until


def _derived(
    contract: Contract, since: date, until: date, *, recent_only: bool
) -> tuple[dict[Key, Day], str]:
    """The ledger's days, and what they depend on beside its entries."""
    hours = hours_of(contract)
    basis = basis_of(hours, since)
    first = _first_changed(contract, since) if recent_only and basis == contract.usage_basis else since
    return observed_days(contract, hours, first, until), basis


def _first_changed(contract: Contract, since: date) -> date:
    """The first day of which something may have been observed since the contract was collected."""
    if contract.usage_collected_at is None:
        return since
    return max(since, work_day(contract.usage_collected_at) - RECENT)


def _first(since: date, until: date, *, recent_only: bool) -> date:
    return max(since, until - RECENT) if recent_only else since


def _entries(contract: Contract, days: Iterable[DayUsage]) -> tuple[list[UsageEntry], list[str]]:
    """The adapter's valid days, and the problems of the others."""
    entries, problems = [], []
    for day in days:
        try:
            entries.append(_entry(contract, day))
        except ValueError as error:  # noqa: PERF203 - each day on its own
            problems.append(str(error))
    return entries, problems


def _entry(contract: Contract, day: DayUsage) -> UsageEntry:
    return UsageEntry(
        work_date=day.work_date,
        total_seconds=day.total_seconds,
        tasks_completed=day.tasks_completed,
        labels_completed=day.labels_completed,
        worker_opentrain_user_id=normal_worker(contract, day.worker_id),
    )


def _left_out(contract: Contract, problems: list[str]) -> str:
    """The message about the days that were left out; "" if none was."""
    if not problems:
        return ""
    message = ngettext(
        "%(count)d day that was collected can't be true and was left out: %(reason)s",
        "%(count)d days that were collected can't be true and were left out: %(reason)s",
        len(problems),
    ) % {"count": len(problems), "reason": problems[0]}
    logger.error(
        "Usage of contract %s: %s [usage-uncollected]",
        contract.opentrain_id,
        redact(message),
        extra=contract.log_fields,
    )
    return redact(message)


def _save(contract: Contract, entries: Iterable[UsageEntry], observed: Mapping[Key, Day]) -> int:
    """Write what has changed; of several entries for one worker's day the last. Returns how many days changed."""
    days = {(entry.worker_opentrain_user_id, entry.work_date): entry for entry in entries}
    if not days:
        return 0
    owed = {key: owed_columns(day) for key, day in observed.items()}
    rows = DailyUsage.objects.filter(contract=contract, work_date__gte=min(day for _worker, day in days))
    stored = {(row.worker_id, row.work_date): row for row in rows}
    new = {key: entry for key, entry in days.items() if key not in stored}
    until = withheld_until(contract) if new else None
    fresh = [
        DailyUsage(
            **row_key(contract, entry),
            **entry_columns(entry),
            **owed.get(key, {}),
            hours_withheld=is_withheld(entry.work_date, until),
        )
        for key, entry in new.items()
    ]
    changed = [
        entry
        for key, entry in days.items()
        if key in stored and differences(stored[key], entry_columns(entry))
    ]
    retried(DailyUsage.objects.bulk_create)(fresh, batch_size=BATCH, ignore_conflicts=True)
    for entry in changed:
        write(contract, entry)
    for key in stored.keys() & owed.keys():
        # No part of the totals: nothing is reported for it.
        if differences(stored[key], owed[key]):
            DailyUsage.objects.filter(pk=stored[key].pk).update(**owed[key])
    return len(fresh) + len(changed)
