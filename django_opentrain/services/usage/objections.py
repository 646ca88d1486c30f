"""Objections of trainers to a day of theirs: made and withdrawn by the trainer, answered by customer or operator.

An objection changes no hours: an operator corrects them (``services.work.correct``), or the answer says why not.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conflicts import retried
from django_opentrain.errors import OperationRefused
from django_opentrain.models import Contract, UsageObjection
from django_opentrain.models.objections import MAX_TEXT
from django_opentrain.platform.values import as_text
from django_opentrain.services.usage.totals import today
from django_opentrain.transactions import atomic

Status = UsageObjection.Status

#: Objections of one trainer to one day, and open ones under one contract: enough for people.
MAX_PER_DAY: Final = 10
MAX_OPEN: Final = 50


def object_to(contract: Contract, work_date: date, *, opentrain_user_id: str, text: str) -> UsageObjection:
    """Record that this trainer objects to what is counted for a day of theirs under the contract.

    Raises ``OperationRefused`` if there is no text, a longer one than ``MAX_TEXT``, an open objection already, or the
    day is in the future.
    """
    text = _text(text, _("Say what is wrong with this day."))
    if work_date > today():
        raise OperationRefused(_("This day is in the future."))
    own = UsageObjection.objects.filter(contract=contract, opentrain_user_id=opentrain_user_id)
    if own.filter(work_date=work_date).count() >= MAX_PER_DAY or own.open().count() >= MAX_OPEN:
        raise OperationRefused(
            _("You have made too many objections. Ask your customer, or this site's administrators.")
        )
    try:
        return _create(contract, work_date, opentrain_user_id, text)
    except IntegrityError:
        raise OperationRefused(_("You have objected to this day already.")) from None


@retried
def _create(contract: Contract, work_date: date, opentrain_user_id: str, text: str) -> UsageObjection:
    with atomic():
        return UsageObjection.objects.create(
            contract=contract, work_date=work_date, opentrain_user_id=opentrain_user_id, text=text
        )


def withdraw(objection: UsageObjection) -> None:
    """The trainer has nothing against the day any more. Raises ``OperationRefused`` if it isn't open."""
    _close(objection, status=Status.WITHDRAWN)


def answer(objection: UsageObjection, text: str, *, by: str) -> None:
    """Answer and close it. Raises ``OperationRefused`` if it isn't open, or the text is missing or too long."""
    text = _text(text, _("Write an answer: the trainer reads it."))
    _close(objection, status=Status.ANSWERED, answer=text, closed_by=by[:300])


def _close(objection: UsageObjection, **columns: str) -> None:
    now = timezone.now()
    rows = UsageObjection.objects.open().filter(pk=objection.pk)
    if not retried(rows.update)(**columns, live=None, closed_at=now, updated_at=now):
        raise OperationRefused(_("This objection is closed already."))
    objection.refresh_from_db()


def _text(text: str, missing: str) -> str:
    clean = as_text(text.strip(), MAX_TEXT + 1)
    if not clean:
        raise OperationRefused(missing)
    if len(clean) > MAX_TEXT:
        raise OperationRefused(_("Write at most %(count)d characters.") % {"count": MAX_TEXT})
    return clean
