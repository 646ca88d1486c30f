"""Usage: cumulative totals per worker and day, kept here and reported to OpenTrain until it has them.

Source: OpenTrain's documentation, "Report usage": each entry replaces what is stored for its (worker, day), so
reporting twice costs nothing, and only the newest total matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from datetime import timezone as tz
from typing import Any

from django.db.models import F, Model
from django.utils import timezone

from django_opentrain.adapters import get_adapter
from django_opentrain.conflicts import retried
from django_opentrain.explanations import NO_REASON
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.services.work.days import work_day


def today() -> date:
    """The current work day, in ``USAGE_TIME_ZONE``."""
    return work_day(timezone.now())


def last_day() -> date:
    """The last day that can be reported now.

    OpenTrain refuses days in the future, and doesn't document by which clock: a day has to have begun in UTC, too.
    """
    return min(today(), timezone.now().astimezone(tz.utc).date())


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
    """Set a day's cumulative totals; what is omitted keeps its value. A correction downwards is reported, too.

    Raises ``InvalidRequest``, a ``ValueError``, for invalid values.
    """
    entry = UsageEntry(
        work_date=work_date,
        total_seconds=total_seconds,
        tasks_completed=tasks_completed,
        labels_completed=labels_completed,
        worker_opentrain_user_id=worker_id,
        external_report_id=external_report_id or "",
    )
    row = write(contract, entry)
    derive_anew(contract)
    return row


def derive_anew(contract: Contract) -> None:
    """After a day was written by hand: what a ledger says of it, however long ago, replaces it when collected."""
    if get_adapter().observes_work:
        Contract.objects.filter(pk=contract.pk).exclude(usage_basis="").update(usage_basis="")


def differences(row: Model, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns whose value in ``row`` differs."""
    return {name: value for name, value in columns.items() if getattr(row, name) != value}


def write(contract: Contract, entry: UsageEntry) -> DailyUsage:
    """Write ``entry`` to its day's row, which is created if needed; a change makes the row due."""
    if entry.worker_opentrain_user_id:
        refresh_trainer(contract)
    columns = entry_columns(entry)
    row, created = retried(DailyUsage.objects.get_or_create)(
        **row_key(contract, entry),
        defaults={
            **columns,
            "hours_withheld": lambda: is_withheld(entry.work_date, withheld_until(contract)),
        },
    )
    changes = {} if created else differences(row, columns)
    if changes:
        retried(DailyUsage.objects.filter(pk=row.pk).update)(
            **changes,
            revision=F("revision") + 1,
            status=DailyUsage.Status.DUE,
            **NO_REASON.columns("error"),
            retry_at=None,
            updated_at=timezone.now(),
        )
        retried(row.refresh_from_db)()
    return row


def entry_columns(entry: UsageEntry) -> dict[str, Any]:
    """The columns that ``entry`` sets; others keep their value."""
    report_id = entry.external_report_id
    return {**entry.totals, "external_report_id": report_id} if report_id else dict(entry.totals)


def row_key(contract: Contract, entry: UsageEntry) -> dict[str, Any]:
    """The unique key of an entry's row."""
    worker_id = normal_worker(contract, entry.worker_opentrain_user_id)
    return {"contract": contract, "work_date": entry.work_date, "worker_id": worker_id}


def withheld_until(contract: Contract) -> date | None:
    """The last day whose hours were tracked elsewhere, as it is stored now; None if there was none."""
    stored = Contract.objects.filter(pk=contract.pk).values_list("hours_withheld_until", flat=True)
    return stored.first()


def is_withheld(work_date: date, until: date | None) -> bool:
    """Whether the hours of a day that is new here were tracked elsewhere, which was so until that day."""
    return until is not None and work_date <= until


def normal_worker(contract: Contract, worker_id: str) -> str:
    """The hired trainer becomes "": for OpenTrain their id and no id are the same (worker, day)."""
    # No id first: who was hired may have to be loaded.
    trainer = contract.trainer if worker_id else None
    return "" if trainer is not None and trainer.opentrain_user_id == worker_id else worker_id


def refresh_trainer(contract: Contract) -> None:
    """The trainer may have been set since the contract was loaded: one trainer's day has to be one row."""
    if contract.trainer_id is None:
        contract.refresh_from_db(fields=["trainer"])
