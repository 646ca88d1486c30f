"""Usage: cumulative totals per worker and day, kept here and reported to OpenTrain until it has them.

Source: OpenTrain's documentation, "Report usage": each entry replaces what is stored for its (worker, day), so
reporting twice costs nothing, and only the newest total matters.
"""

from __future__ import annotations

from datetime import date, datetime
from datetime import timezone as tz
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.values import as_id

TOTALS: Final = ("total_seconds", "tasks_completed", "labels_completed")
LARGEST_TOTAL: Final = 2_147_483_647


def today() -> date:
    """The current work day, in ``USAGE_TIME_ZONE``."""
    return work_day(timezone.now())


def last_day() -> date:
    """The last day that can be reported now.

    OpenTrain refuses days in the future, and doesn't document by which clock: a day has to have begun in UTC, too.
    """
    return min(today(), timezone.now().astimezone(tz.utc).date())


def work_day(moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(conf.usage_time_zone)).date()


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
    totals = checked_totals(total_seconds, tasks_completed, labels_completed)
    _know_trainer(contract, worker_id)
    row, created = DailyUsage.objects.get_or_create(
        **row_key(contract, work_date, worker_id),
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
    more = checked_totals(total_seconds, tasks_completed, labels_completed)
    _know_trainer(contract, worker_id)
    key = row_key(contract, work_date, worker_id)
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


def row_key(contract: Contract, work_date: date, worker_id: str) -> dict[str, Any]:
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


def checked_totals(seconds: int | None, tasks: int | None, labels: int | None) -> dict[str, Any]:
    if not all(isinstance(total, int) for total in (seconds, tasks, labels) if total is not None):
        raise ValueError(_("Totals are whole numbers."))
    if seconds is not None and not 0 <= seconds <= catalog.SECONDS_PER_DAY:
        raise ValueError(_("total_seconds must be between 0 and 86400: one day."))
    for count in (tasks, labels):
        if count is not None and not 0 <= count <= LARGEST_TOTAL:
            raise ValueError(_("A count must not be negative."))
    given = zip(TOTALS, (seconds, tasks, labels), strict=True)
    return {name: value for name, value in given if value is not None}
