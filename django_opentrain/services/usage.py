"""Usage: cumulative totals per worker and day, kept here and reported to OpenTrain until it has them.

Source: OpenTrain's documentation, "Report usage": each entry replaces what is stored for its (worker, day), so
reporting twice costs nothing, and only the newest total matters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.adapters import DayUsage, get_adapter
from django_opentrain.conf import conf
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import BadRequest, InvalidRequest
from django_opentrain.platform.redaction import redact
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.platform.values import as_id
from django_opentrain.services import contracts

logger = logging.getLogger(__name__)

TOTALS: Final = ("total_seconds", "tasks_completed", "labels_completed")
LARGEST_TOTAL: Final = 2_147_483_647
#: What is asked for each time; once a day all days are.
RECENT: Final = timedelta(days=3)
#: Days after a contract's end during which late work is still collected.
COLLECT_AFTER_END: Final = timedelta(days=7)
#: Rows written by one statement.
BATCH: Final = 500


@dataclass(kw_only=True)
class Report:
    """What became of a contract's due totals."""

    accepted: int = 0
    refused: int = 0
    #: Days in the future, which OpenTrain refuses: they wait.
    held: int = 0
    errors: list[str] = field(default_factory=list)


def today() -> date:
    """The current work day, in ``USAGE_TIME_ZONE``."""
    return _work_day(timezone.now())


def last_day() -> date:
    """The last day that can be reported now.

    OpenTrain refuses days in the future, and doesn't document by which clock: a day has to have begun in UTC, too.
    """
    return min(today(), timezone.now().astimezone(tz.utc).date())


def _work_day(moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(conf.usage_time_zone)).date()


# Writing totals down --------------------------------------------------------------------------


def record(
    contract: Contract,
    work_date: date,
    *,
    total_seconds: int | None = None,
    tasks_completed: int | None = None,
    labels_completed: int | None = None,
    worker_id: str = "",
    external_report_id: str | None = None,
) -> DailyUsage:
    """Set a day's cumulative totals; what is left out keeps its value. A correction downwards is reported too.

    Raises ``ValueError`` for totals that no day can have.
    """
    totals = _checked(total_seconds, tasks_completed, labels_completed)
    _know_trainer(contract, worker_id)
    row, created = DailyUsage.objects.get_or_create(
        **_key(contract, work_date, worker_id),
        defaults={**totals, "external_report_id": external_report_id or ""},
    )
    if external_report_id is not None:
        totals["external_report_id"] = external_report_id
    if created or all(getattr(row, name) == value for name, value in totals.items()):
        return row
    _change(DailyUsage.objects.filter(pk=row.pk), totals)
    row.refresh_from_db()
    return row


def add(
    contract: Contract,
    work_date: date,
    *,
    total_seconds: int | None = None,
    tasks_completed: int | None = None,
    labels_completed: int | None = None,
    worker_id: str = "",
    external_report_id: str | None = None,
) -> DailyUsage:
    """Add to a day's totals; concurrent callers lose nothing. Raises ``ValueError`` for negative numbers."""
    more = _checked(total_seconds, tasks_completed, labels_completed)
    _know_trainer(contract, worker_id)
    key = _key(contract, work_date, worker_id)
    sums = {name: Coalesce(F(name), 0) + value for name, value in more.items()}
    changes = sums if external_report_id is None else {**sums, "external_report_id": external_report_id}
    rows = DailyUsage.objects.filter(**key)
    if not _change(rows, changes):
        try:
            with transaction.atomic():
                return DailyUsage.objects.create(**key, **more, external_report_id=external_report_id or "")
        except IntegrityError:
            # Somebody else added the day's first row meanwhile.
            _change(rows, changes)
    return rows.get()


def _change(rows: DailyUsageQuerySet, changes: dict[str, Any]) -> int:
    return rows.update(
        **changes,
        revision=F("revision") + 1,
        status=DailyUsage.Status.DUE,
        error="",
        updated_at=timezone.now(),
    )


def _key(contract: Contract, work_date: date, worker_id: str) -> dict[str, Any]:
    if isinstance(work_date, datetime):
        raise TypeError("work_date must be a date: which day a moment belongs to is the caller's to say.")
    if as_id(worker_id) != worker_id:
        raise ValueError(_("The worker's id is too long, or is no text that can be kept."))
    return {"contract": contract, "work_date": work_date, "worker_id": normal_worker(contract, worker_id)}


def _know_trainer(contract: Contract, worker_id: str) -> None:
    """Who was hired may have been learned since the contract was loaded: one person's day is to be one row."""
    if worker_id and contract.trainer_id is None:
        contract.refresh_from_db(fields=["trainer"])


def normal_worker(contract: Contract, worker_id: str) -> str:
    """The hired trainer is "": to OpenTrain their id and no id are the same (worker, day)."""
    trainer = contract.trainer
    return "" if trainer is not None and trainer.opentrain_user_id == worker_id else worker_id


def _checked(seconds: int | None, tasks: int | None, labels: int | None) -> dict[str, Any]:
    if not all(isinstance(total, int) for total in (seconds, tasks, labels) if total is not None):
        raise ValueError(_("Totals are whole numbers."))
    if seconds is not None and not 0 <= seconds <= catalog.SECONDS_PER_DAY:
        raise ValueError(_("total_seconds must be between 0 and 86400: one day."))
    for count in (tasks, labels):
        if count is not None and not 0 <= count <= LARGEST_TOTAL:
            raise ValueError(_("A count must not be negative."))
    given = zip(TOTALS, (seconds, tasks, labels), strict=True)
    return {name: value for name, value in given if value is not None}


# Collecting from the host ---------------------------------------------------------------------


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
    return contract.usage_collected_at is not None and _work_day(contract.usage_collected_at) == today()


def _days_of(contract: Contract) -> tuple[date, date]:
    """The first and last day on which there can be work under this contract; what follows may be another one's.

    OpenTrain tells its start as a day, which begins in UTC.
    """
    begin = contract.created_at
    if contract.start_date is not None:
        begin = datetime.combine(contract.start_date, time.min, tz.utc)
    until = _work_day(contract.ended_at) if contract.ended_at else today()
    return min(_work_day(begin), until), until


def _merged(contract: Contract, days: Iterable[DayUsage]) -> dict[tuple[str, date], DayUsage]:
    return {
        (normal_worker(contract, day.worker_id), day.work_date): day
        for day in days
        if _is_possible(contract, day)
    }


def _is_possible(contract: Contract, day: DayUsage) -> bool:
    """A day that can't be true must not keep the others from being paid."""
    try:
        _checked(day.total_seconds, day.tasks_completed, day.labels_completed)
        _key(contract, day.work_date, day.worker_id)
    except (TypeError, ValueError) as error:
        logger.error("The adapter's usage of contract %s on %s: %s", contract.pk, day.work_date, error)
        return False
    return True


def _totals(day: DayUsage) -> dict[str, Any]:
    return {name: value for name in TOTALS if (value := getattr(day, name)) is not None}


def _differs(row: DailyUsage, day: DayUsage) -> bool:
    return any(getattr(row, name) != value for name, value in _totals(day).items())


def _new_row(contract: Contract, day: DayUsage) -> DailyUsage:
    return DailyUsage(**_key(contract, day.work_date, day.worker_id), **_totals(day))


# Reporting to OpenTrain -----------------------------------------------------------------------


def report(contract: Contract, *, until: date | None = None) -> Report:
    """Report every due total, at most 100 at once. Callers that may run side by side hold the install's lease.

    Later days than ``until`` are held; without it, those that OpenTrain may hold to be in the future.

    An entry that OpenTrain refuses is found, marked with the reason and left until it changes; the others go
    through. Raises ``OpenTrainError`` when OpenTrain can't be asked or refuses the whole contract: all stays due.
    """
    until = until or last_day()
    rows = list(DailyUsage.objects.filter(contract=contract).due(until).order_by("work_date", "worker_id"))
    waiting = DailyUsage.objects.filter(contract=contract, status=DailyUsage.Status.DUE)
    result = Report(held=waiting.filter(work_date__gt=until).count())
    for start in range(0, len(rows), catalog.MAX_USAGE_ENTRIES):
        _send(contract, rows[start : start + catalog.MAX_USAGE_ENTRIES], result)
    if rows:
        Contract.objects.filter(pk=contract.pk).update(usage_reported_at=timezone.now())
    return result


def report_again(rows: DailyUsageQuerySet) -> int:
    """Make these totals due, whatever OpenTrain said of them before; returns how many."""
    contract_ids = list(rows.order_by().values_list("contract_id", flat=True).distinct())
    Contract.objects.filter(pk__in=contract_ids).update(
        next_report_at=None, report_attempts=0, report_error=""
    )
    return rows.update(status=DailyUsage.Status.DUE, error="", updated_at=timezone.now())


def _send(contract: Contract, rows: Sequence[DailyUsage], result: Report) -> None:
    """Send one batch; where OpenTrain refuses it, halve it until the entry to blame stands alone."""
    asked_at = timezone.now()
    try:
        answer = contract.install.client.report_usage(contract.opentrain_id, [_entry(row) for row in rows])
    except (BadRequest, InvalidRequest) as error:
        if isinstance(error, BadRequest) and not error.from_opentrain:
            raise
        if len(rows) > 1:
            middle = len(rows) // 2
            _send(contract, rows[:middle], result)
            _send(contract, rows[middle:], result)
        else:
            _mark_refused(rows[0], error, result)
        return
    _mark_reported(rows)
    result.accepted += len(rows)
    if answer.budget is not None:
        contracts.save_budget(contract, answer.budget, asked_at=asked_at)


def _entry(row: DailyUsage) -> UsageEntry:
    return UsageEntry(
        work_date=row.work_date,
        total_seconds=row.total_seconds,
        tasks_completed=row.tasks_completed,
        labels_completed=row.labels_completed,
        worker_opentrain_user_id=row.worker_id,
        external_report_id=row.external_report_id,
    )


def _mark_reported(rows: Sequence[DailyUsage]) -> None:
    """Mark the revisions that were sent. A total that changed meanwhile has a newer one and stays due."""
    now = timezone.now()
    sent = Q()
    for row in rows:
        sent |= Q(pk=row.pk, revision=row.revision)
    DailyUsage.objects.filter(sent).update(
        status=DailyUsage.Status.REPORTED, reported_revision=F("revision"), error="", reported_at=now
    )


def _mark_refused(row: DailyUsage, error: BadRequest | InvalidRequest, result: Report) -> None:
    details = error.details if isinstance(error, BadRequest) else {}
    reason = redact(f"{error} {json.dumps(details)}" if details else str(error))
    result.refused += 1
    result.errors.append(f"{row.work_date}: {reason}")
    logger.error("OpenTrain refused contract %s's usage of %s: %s", row.contract_id, row.work_date, reason)
    DailyUsage.objects.filter(pk=row.pk, revision=row.revision).update(
        status=DailyUsage.Status.REFUSED, error=reason, updated_at=timezone.now()
    )
