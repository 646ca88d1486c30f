"""Reporting a contract's due totals to OpenTrain.

Source: OpenTrain's documentation, "Report usage": each entry replaces what is stored for its (worker, day), so
reporting twice costs nothing, and only the newest total matters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from typing import Final

from django.db.models import F, Q
from django.utils import timezone

from django_opentrain import signals
from django_opentrain.explanations import NO_REASON, Reason, explain
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import BadRequest, InvalidRequest, OpenTrainError
from django_opentrain.platform.redaction import redact
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.services.access import contracts
from django_opentrain.services.usage import withholding
from django_opentrain.services.usage.totals import last_day
from django_opentrain.transactions import durable

logger = logging.getLogger(__name__)

#: How long a report whose response was lost may still take effect. Not documented: our own calls end after four
#: minutes, and any queue in between is assumed to drop it soon after. Shorter than the schedule's interval.
LATEST_EFFECT: Final = timedelta(minutes=10)


@dataclass(kw_only=True)
class Report:
    """The result for a contract's due totals."""

    accepted: int = 0
    refused: int = 0
    #: Totals that wait: days in the future, which OpenTrain refuses, and totals that are newer than a report that may
    #: still take effect.
    held: int = 0
    #: Whether an attempt without a response may still take effect: newer totals wait until it no longer can.
    unconfirmed: bool = False
    errors: list[str] = field(default_factory=list)


@durable
def report(contract: Contract, *, until: date | None = None) -> Report:
    """Report every due total, at most 100 at once. Concurrent callers hold the install's lease.

    Later days than ``until`` are held; by default, days that may be in the future for OpenTrain. All are held while
    an earlier report, whose response was lost, may still take effect: it would overwrite a newer total.

    Hours that are tracked elsewhere are left out (``withholding``); a day that has nothing else isn't sent.

    An entry that OpenTrain refuses is found, marked with the reason, and not sent again until it changes; the others
    are reported. Raises ``OpenTrainError`` if OpenTrain can't be reached or refuses the contract, and
    ``UndecryptableError`` if the key is lost: all stays due.
    """
    if Contract.objects.filter(pk=contract.pk, report_unconfirmed_until__gt=timezone.now()).exists():
        return Report(held=DailyUsage.objects.filter(contract=contract, status=DailyUsage.Status.DUE).count())
    return report_now(contract, until=until or last_day())


def report_now(contract: Contract, *, until: date) -> Report:
    """As ``report``, even while an earlier report may still take effect: for the last report of a contract."""
    days = DailyUsage.objects.filter(contract=contract)
    rows = list(days.due(until).order_by("work_date", "worker_id"))
    result = Report(held=days.filter(status=DailyUsage.Status.DUE, work_date__gt=until).count())
    to_send = withholding.leave_out(contract, rows)
    if to_send:
        _send_all(contract, to_send, result)
    return result


def _send_all(contract: Contract, rows: Sequence[DailyUsage], result: Report) -> None:
    """Send the rows in batches. Only if each attempt was answered, newer totals may be sent at once."""
    try:
        for start in range(0, len(rows), catalog.MAX_USAGE_ENTRIES):
            _send(contract, rows[start : start + catalog.MAX_USAGE_ENTRIES], result)
    except OpenTrainError as error:
        result.unconfirmed = result.unconfirmed or error.outcome_unknown
        _note_answered(contract, result)
        raise
    _note_answered(contract, result, usage_reported_at=timezone.now())


def _note_answered(contract: Contract, result: Report, **changes: datetime | None) -> None:
    if not result.unconfirmed:
        changes["report_unconfirmed_until"] = None
    if changes:
        Contract.objects.filter(pk=contract.pk).update(**changes)


def report_again(rows: DailyUsageQuerySet) -> int:
    """Make these totals due, even if OpenTrain has refused them; returns how many."""
    contract_ids = list(rows.order_by().values_list("contract_id", flat=True).distinct())
    Contract.objects.filter(pk__in=contract_ids).update(
        next_report_at=None, report_attempts=0, **NO_REASON.columns("report_error")
    )
    return rows.update(
        status=DailyUsage.Status.DUE,
        retry_at=None,
        updated_at=timezone.now(),
        **NO_REASON.columns("error"),
    )


def _send(contract: Contract, rows: Sequence[DailyUsage], result: Report) -> None:
    """Send one batch; if OpenTrain refuses it, halve it until the invalid entry is found."""
    asked_at = timezone.now()
    # Before the call: this process may end in it.
    Contract.objects.filter(pk=contract.pk).update(report_unconfirmed_until=asked_at + LATEST_EFFECT)
    try:
        response = contract.install.client.report_usage(contract.opentrain_id, [_entry(row) for row in rows])
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
    result.unconfirmed = result.unconfirmed or response.outcome_unknown
    if response.budget is not None:
        contracts.save_budget(contract, response.budget, asked_at=asked_at)


def _entry(row: DailyUsage) -> UsageEntry:
    return UsageEntry(
        work_date=row.work_date,
        total_seconds=None if row.hours_withheld else row.total_seconds,
        tasks_completed=row.tasks_completed,
        labels_completed=row.labels_completed,
        worker_opentrain_user_id=row.worker_id,
        external_report_id=row.external_report_id,
    )


def _mark_reported(rows: Sequence[DailyUsage]) -> None:
    """Mark the revisions that were sent. A total that has changed since has a newer one and stays due."""
    now = timezone.now()
    for without_hours in (False, True):
        sent = Q(pk__in=())
        for row in rows:
            if row.hours_withheld == without_hours:
                sent |= Q(pk=row.pk, revision=row.revision)
        DailyUsage.objects.filter(sent).update(
            status=DailyUsage.Status.REPORTED,
            reported_revision=F("revision"),
            reported_at=now,
            retry_at=None,
            **NO_REASON.columns("error"),
            **({"hours_withheld": True} if without_hours else {}),
        )


def _mark_refused(row: DailyUsage, error: BadRequest | InvalidRequest, result: Report) -> None:
    details = error.details if isinstance(error, BadRequest) else {}
    reason = redact(f"{error} {json.dumps(details)}" if details else str(error))
    result.refused += 1
    result.errors.append(f"{row.work_date}: {reason}")
    logger.error(
        "OpenTrain refused contract %s's usage of %s: %s [usage-refused]",
        row.contract.opentrain_id,
        row.work_date,
        reason,
        extra=row.contract.log_fields,
    )
    now = timezone.now()
    refused = DailyUsage.objects.filter(pk=row.pk, revision=row.revision).update(
        status=DailyUsage.Status.REFUSED,
        **Reason(reason, explain(error).code).columns("error"),
        retry_at=_retry_at(row.work_date, now) if isinstance(error, BadRequest) else None,
        updated_at=now,
    )
    # Not once more for one that is retried in case it was in the future.
    if refused and row.status != DailyUsage.Status.REFUSED:
        row.refresh_from_db()
        signals.send_on_commit(signals.usage_refused, DailyUsage, usage=row)


def _retry_at(work_date: date, refused_at: datetime) -> datetime | None:
    """When to report a refused day again, in case it was in the future for OpenTrain; None if it wasn't.

    OpenTrain has no code for such a refusal, doesn't document the time zone of its days, and its clock may be behind.
    So it is retried when the day has begun everywhere (at noon in UTC it is midnight at UTC-12), and once more when
    it is over everywhere.
    """
    begun = datetime.combine(work_date, time(12), tz.utc)
    return next((moment for moment in (begun, begun + timedelta(days=1)) if refused_at < moment), None)
