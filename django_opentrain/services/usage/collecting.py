"""Collecting usage from the host: which days to request from the adapter, and what has changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from typing import Final

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import ngettext

from django_opentrain.adapters import DayUsage, get_adapter
from django_opentrain.conflicts import retried
from django_opentrain.explanations import Reason
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.platform.redaction import redact
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.services.usage.measuring import measures_time
from django_opentrain.services.usage.totals import (
    differences,
    entry_columns,
    is_withheld,
    normal_worker,
    row_key,
    today,
    withheld_until,
    write,
)
from django_opentrain.services.work import corrections
from django_opentrain.services.work.days import work_day
from django_opentrain.services.work.totals import day_totals, has_news

logger = logging.getLogger(__name__)

#: The days that are requested each time; once a day all days are.
RECENT: Final = timedelta(days=3)


#: Days after a contract's end during which late work is still collected.
COLLECT_AFTER_END: Final = timedelta(days=7)


#: Rows written by one statement.
BATCH: Final = 500


def collect(contract: Contract, *, recent_only: bool = False) -> int:
    """Request the contract's days from the adapter and record what changed; returns how many days did.

    All of its days are requested, so that late work and corrections of old days are recorded too; with
    ``recent_only`` the last few. Invalid days are left out, and ``Contract.collect_error`` says so. If the adapter's
    host observes work, the days are the ledger's.
    """
    # The time of the request: one that ends after midnight has not requested the new day.
    asked_at = timezone.now()
    since, until = _days_of(contract)
    adapter = get_adapter()
    if adapter.observes_work:
        # Also after the contract's end: until access is closed, there can be work.
        until = today()
        collected = contract.usage_collected_at
        old = recent_only and collected and not has_news(contract, collected)
        days = [] if old else [*_observed(contract, since, until)]
    else:
        since = max(since, until - RECENT) if recent_only else since
        days = [*adapter.collect_usage(contract, since, until)]
    entries, problems = _entries(contract, days)
    changed = _save(contract, [entry for entry in entries if since <= entry.work_date <= until])
    Contract.objects.filter(pk=contract.pk).update(
        usage_collected_at=asked_at,
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


def collected_today(contract: Contract) -> bool:
    """Whether all days of the contract have been requested since midnight."""
    return contract.usage_collected_at is not None and work_day(contract.usage_collected_at) == today()


def new_work(now: datetime) -> Q:
    """Contracts under which there can be new work: active and recently ended ones."""
    return Q(status=Contract.Status.ACTIVE) | Q(ended_at__gte=now - COLLECT_AFTER_END)


def _days_of(contract: Contract) -> tuple[date, date]:
    """The first and last day on which there can be work under this contract; other days may be another contract's.

    OpenTrain reports its start as a day, which begins in UTC.
    """
    begin = contract.created_at
    if contract.start_date is not None:
        begin = datetime.combine(contract.start_date, time.min, tz.utc)
    until = work_day(contract.ended_at) if contract.ended_at else today()
    return min(work_day(begin), until), until


def _observed(contract: Contract, since: date, until: date) -> Iterator[DayUsage]:
    """The ledger's days; zeros where there was work before for which another contract pays, as was learned since."""
    rows = DailyUsage.objects.filter(contract=contract)
    stored = {(row.worker_id, row.work_date): row.total_seconds for row in rows}
    measured = measures_time()
    for day in day_totals(contract, since, until):
        key = normal_worker(contract, day.worker_id), day.work_date
        if not (day.total_seconds or measured or stored.get(key)):
            # Unknown, not none: OpenTrain keeps what it has from elsewhere.
            day = replace(day, total_seconds=None)  # noqa: PLW2901
        if day.total_seconds or day.tasks_completed or day.labels_completed or key in stored:
            yield day


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
        "Usage of contract %s: %s", contract.opentrain_id, redact(message), extra=contract.log_fields
    )
    return redact(message)


def _save(contract: Contract, entries: Iterable[UsageEntry]) -> int:
    """Write what has changed; of several entries for one worker's day the last. Returns how many days changed."""
    days = {(entry.worker_opentrain_user_id, entry.work_date): entry for entry in entries}
    if not days:
        return 0
    rows = DailyUsage.objects.filter(contract=contract, work_date__gte=min(day for _worker, day in days))
    stored = {(row.worker_id, row.work_date): row for row in rows}
    new = [entry for key, entry in days.items() if key not in stored]
    until = withheld_until(contract) if new else None
    fresh = [
        DailyUsage(
            **row_key(contract, entry),
            **entry_columns(entry),
            hours_withheld=is_withheld(entry.work_date, until),
        )
        for entry in new
    ]
    changed = [
        entry
        for key, entry in days.items()
        if key in stored and differences(stored[key], entry_columns(entry))
    ]
    retried(DailyUsage.objects.bulk_create)(fresh, batch_size=BATCH, ignore_conflicts=True)
    for entry in changed:
        write(contract, entry)
    return len(fresh) + len(changed)
