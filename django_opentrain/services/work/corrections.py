"""Corrections: what an operator says of a day, as an entry with a reason and a name.

Nothing that was observed is changed. A correction is signed, counts as it is, and belongs to the contract whose day
is corrected, whatever is learned later: it is made at the instant of that day's last entry.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta

from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.adapters import day_bounds, get_adapter
from django_opentrain.conflicts import retried
from django_opentrain.errors import OperationRefused
from django_opentrain.models import Contract, WorkEntry
from django_opentrain.models.work import MAX_COUNT, MAX_REASON
from django_opentrain.platform.catalog import SECONDS_PER_DAY
from django_opentrain.platform.values import as_text
from django_opentrain.services.access.hours import Hours
from django_opentrain.services.access.payers import Place, hours_of
from django_opentrain.services.work.days import oldest_derived_day
from django_opentrain.services.work.totals import paid_by
from django_opentrain.transactions import atomic


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
) -> WorkEntry:
    """Add to, or with negative numbers take off, what one trainer's day counts.

    ``usage.correct`` applies it at once; alone it is applied when all days of the contract are collected.

    What is taken off beyond zero is taken off the days after it. Raises ``OperationRefused`` for what can't be
    corrected, with the reason.

    :param by: who corrects, for the record: it is shown to customer and trainer, as ``reason`` is.
    :param worker_id: OpenTrain's user id; empty: the hired trainer.
    :param key: what makes this correction unique, so that it is stored once however often it is sent.
    """
    _check(seconds, tasks, labels)
    reason = as_text(reason.strip(), MAX_REASON)
    if not reason or not by:
        raise OperationRefused(_("A correction needs a reason and a name."))
    place, at = _moment(contract, work_date, worker_id)
    entry = WorkEntry(
        **place._asdict(),
        key=key or uuid.uuid4().hex,
        kind=WorkEntry.Kind.CORRECTED,
        at=at,
        work_date=work_date,
        duration=timedelta(seconds=seconds),
        tasks=tasks,
        labels=labels,
        access_since=at,
        observed_at=timezone.now(),
        reason=reason,
        corrected_by=by[:300],
    )
    try:
        _save(entry)
    except IntegrityError:
        # Sent twice: a button that was pressed again.
        return WorkEntry.objects.get(key=entry.key)
    return entry


@retried
def _save(entry: WorkEntry) -> None:
    with atomic():
        entry.save(force_insert=True)


def _check(seconds: int, tasks: int, labels: int) -> None:
    if not (seconds or tasks or labels):
        raise OperationRefused(_("Say what is to be corrected: time, tasks or labels."))
    if abs(seconds) > SECONDS_PER_DAY or max(abs(tasks), abs(labels)) > MAX_COUNT:
        raise OperationRefused(_("This is more than a day can have."))


def _moment(contract: Contract, work_date: date, worker_id: str) -> tuple[Place, datetime]:
    """Where, and at which instant of the day, the contract pays this trainer."""
    _check_day(work_date)
    hired = contract.trainer.opentrain_user_id if contract.trainer else ""
    trainer = worker_id or hired
    hours = {
        place: pieces for place, pieces in hours_of(contract).items() if place.opentrain_user_id == trainer
    }
    last = WorkEntry.objects.filter(paid_by(hours), work_date=work_date).order_by("-at", "-pk").first()
    if last is not None:
        return Place(last.opentrain_user_id, last.tenant, last.external_project_id), last.at
    found = min(_begins(hours, *day_bounds(work_date, work_date)), default=None, key=lambda pair: pair[1])
    if found is None or found[1] > timezone.now():
        raise OperationRefused(_("This contract pays for no time of this trainer's on this day."))
    return found


def _begins(hours: dict[Place, list[Hours]], begin: datetime, end: datetime) -> list[tuple[Place, datetime]]:
    """The first instants from ``begin`` up to ``end`` of these times."""
    return [
        (place, max(piece.since, begin))
        for place, pieces in hours.items()
        for piece in pieces
        if piece.since < end and piece.until > begin
    ]


def _check_day(work_date: date) -> None:
    """Raises ``OperationRefused`` for a day whose total doesn't follow from the ledger, or not any more."""
    if not get_adapter().observes_work:
        raise OperationRefused(_("This site keeps no work ledger: its days are set by its adapter."))
    begin, _end = day_bounds(work_date, work_date)
    if begin > timezone.now():
        raise OperationRefused(_("This day is in the future."))
    if work_date < oldest_derived_day():
        raise OperationRefused(_("The entries of this day are deleted: its total stays as it is."))
