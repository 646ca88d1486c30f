"""Reporting a contract's due totals to OpenTrain.

Source: OpenTrain's documentation, "Report usage": each entry replaces what is stored for its (worker, day), so
reporting twice costs nothing, and only the newest total matters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from typing import Any, Final, TypeAlias

from django.db.models import F, Q, Value
from django.db.models.functions import NullIf
from django.utils import timezone

from django_opentrain import signals
from django_opentrain.errors import LeaseLostError
from django_opentrain.explanations import NO_REASON, Reason, explain
from django_opentrain.models import Contract, DailyUsage, Install
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import BadRequest, InvalidRequest, OpenTrainError
from django_opentrain.platform.redaction import redact
from django_opentrain.platform.resources import BudgetInfo, UsageResult
from django_opentrain.services.access import contracts
from django_opentrain.services.usage import withholding
from django_opentrain.services.usage.due import DueDay, due_days, unchanged
from django_opentrain.services.usage.totals import last_day
from django_opentrain.services.workers.calls import DetachedClient, Steps, alone
from django_opentrain.transactions import durable

logger = logging.getLogger(__name__)

#: Gives an install's client. Raises ``UndecryptableError`` when the token's key is lost.
Connect: TypeAlias = Callable[[Install], DetachedClient]

Status = DailyUsage.Status

#: How long a report whose response was lost may still take effect. Not documented: our own calls end after four
#: minutes, and any queue in between is assumed to drop it soon after. Shorter than the schedule's interval.
LATEST_EFFECT: Final = timedelta(minutes=10)
#: One mark on a contract stands for all reports of so long: not one more statement for each.
SAME_MARK: Final = timedelta(minutes=1)


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
    ``UndecryptableError`` if the key is lost: all stays due. ``LeaseLostError`` if it took so long that another
    report has begun.
    """
    return alone(steps(contract, until=until))


def report_now(contract: Contract, *, until: date) -> Report:
    """As ``report``, even while an earlier report may still take effect: for the last report of a contract."""
    return alone(_Reporting(contract, even_unconfirmed=True).all_due(until))


@durable
def steps(
    contract: Contract, connect: Connect = DetachedClient, *, until: date | None = None
) -> Steps[UsageResult, Report]:
    """``report`` in steps, for callers outside of any transaction: what is yielded is a call to OpenTrain."""
    return _Reporting(contract, connect).all_due(until or last_day())


def report_again(rows: DailyUsageQuerySet) -> int:
    """Make these totals due, even if OpenTrain has refused them; returns how many."""
    contract_ids = list(rows.order_by().values_list("contract_id", flat=True).distinct())
    Contract.objects.filter(pk__in=contract_ids).update(
        next_report_at=None, report_attempts=0, **NO_REASON.columns("report_error")
    )
    return rows.update(
        status=Status.DUE,
        retry_at=None,
        updated_at=timezone.now(),
        **NO_REASON.columns("error"),
    )


class _Reporting:
    """One contract's report: what was sent, and what OpenTrain's answers say."""

    def __init__(
        self, contract: Contract, connect: Connect = DetachedClient, *, even_unconfirmed: bool = False
    ) -> None:
        self._contract = contract
        self._connect = connect
        self._row = Contract.objects.filter(pk=contract.pk)
        self._even_unconfirmed = even_unconfirmed
        self._result = Report()
        #: Days that OpenTrain has accepted, and that are to be marked.
        self._accepted: list[DueDay] = []
        #: Until when what was sent may take effect, as it is stored.
        self._marked_until: datetime | None = None
        #: The budget of the last answer, and when that was asked for.
        self._budget: tuple[BudgetInfo, datetime] | None = None

    def all_due(self, until: date) -> Steps[UsageResult, Report]:
        due = due_days(self._contract, elsewhere=withholding.is_tracked_elsewhere(self._contract))
        days = withholding.leave_out([day for day in due if day.work_date <= until])
        self._result.held = sum(day.work_date > until and day.status == Status.DUE for day in due)
        # Before it is marked that something is sent: the token may be unreadable.
        client = self._connect(self._contract.install) if days else None
        if client and self._begin(timezone.now()):
            yield from self._send_all(client, days)
        else:
            self._result.held += len(days)
        return self._result

    def _send_all(self, client: DetachedClient, days: Sequence[DueDay]) -> Steps[UsageResult, None]:
        """Send the days in batches. Only if each attempt was answered, newer totals may be sent at once."""
        try:
            for start in range(0, len(days), catalog.MAX_USAGE_ENTRIES):
                yield from self._send(client, days[start : start + catalog.MAX_USAGE_ENTRIES])
        except OpenTrainError as error:
            self._result.unconfirmed = self._result.unconfirmed or error.outcome_unknown
            self._save_answers()
            raise
        finally:
            # By one statement, also before a failure. If this process ends first, they are reported once more.
            _mark_reported(self._accepted)
        self._save_answers(usage_reported_at=timezone.now())

    def _send(self, client: DetachedClient, days: Sequence[DueDay]) -> Steps[UsageResult, None]:
        """Send one batch; if OpenTrain refuses it, halve it until the invalid entry is found."""
        asked_at = timezone.now()
        self._keep_marked(asked_at)
        try:
            entries = [day.entry() for day in days]
            answer = yield from client.report_usage(self._contract.opentrain_id, entries)
        except (BadRequest, InvalidRequest) as error:
            if isinstance(error, BadRequest) and not error.from_opentrain:
                raise
            if len(days) > 1:
                middle = len(days) // 2
                yield from self._send(client, days[:middle])
                yield from self._send(client, days[middle:])
            else:
                _mark_refused(self._contract, days[0], error, self._result)
            return
        self._accepted += days
        self._result.accepted += len(days)
        self._result.unconfirmed = self._result.unconfirmed or answer.outcome_unknown
        if answer.budget is not None:
            self._budget = answer.budget, asked_at

    def _begin(self, now: datetime) -> bool:
        """Whether no earlier report may still take effect. If so, it is marked that this one may."""
        rows = self._row
        if not self._even_unconfirmed:
            rows = rows.filter(Q(report_unconfirmed_until=None) | Q(report_unconfirmed_until__lte=now))
        return self._mark(now, rows)

    def _mark(self, asked_at: datetime, rows: ContractQuerySet) -> bool:
        """Before a call: this process may end in it."""
        self._marked_until = asked_at + LATEST_EFFECT
        return bool(rows.update(report_unconfirmed_until=self._marked_until))

    def _keep_marked(self, asked_at: datetime) -> None:
        if self._marked_until and asked_at + LATEST_EFFECT <= self._marked_until + SAME_MARK:
            return
        # If this process has stood still until its mark was over, another may have sent newer totals.
        own = self._row.filter(report_unconfirmed_until=self._marked_until)
        if not self._mark(asked_at, own):
            raise LeaseLostError

    def _save_answers(self, **changes: Any) -> None:
        """The budget, and that no answer is open any more: unless another worker's is, who took this one for dead."""
        if not self._result.unconfirmed:
            own = Value(self._marked_until)
            changes["report_unconfirmed_until"] = NullIf("report_unconfirmed_until", own)
        if self._budget is not None:
            budget, asked_at = self._budget
            contracts.save_budget(self._contract, budget, asked_at=asked_at, **changes)
        elif changes:
            self._row.update(**changes)


def _mark_reported(days: Sequence[DueDay]) -> None:
    """Mark the revisions that were sent. A total that has changed since has a newer one and stays due."""
    for without_hours in {day.hours_withheld for day in days}:
        unchanged(day for day in days if day.hours_withheld == without_hours).update(
            status=Status.REPORTED,
            reported_revision=F("revision"),
            reported_at=timezone.now(),
            retry_at=None,
            **NO_REASON.columns("error"),
            **({"hours_withheld": True} if without_hours else {}),
        )


def _mark_refused(
    contract: Contract, day: DueDay, error: BadRequest | InvalidRequest, result: Report
) -> None:
    details = error.details if isinstance(error, BadRequest) else {}
    reason = redact(f"{error} {json.dumps(details)}" if details else str(error))
    result.refused += 1
    result.errors.append(f"{day.work_date}: {reason}")
    logger.error(
        "OpenTrain refused contract %s's usage of %s: %s [usage-refused]",
        contract.opentrain_id,
        day.work_date,
        reason,
        extra=contract.log_fields,
    )
    now = timezone.now()
    refused = unchanged([day]).update(
        status=Status.REFUSED,
        **Reason(reason, explain(error).code).columns("error"),
        retry_at=_retry_at(day.work_date, now) if isinstance(error, BadRequest) else None,
        updated_at=now,
    )
    # Not once more for one that is retried in case it was in the future.
    if refused and day.status != Status.REFUSED:
        row = DailyUsage.objects.get(pk=day.pk)
        signals.send_on_commit(signals.usage_refused, DailyUsage, usage=row)


def _retry_at(work_date: date, refused_at: datetime) -> datetime | None:
    """When to report a refused day again, in case it was in the future for OpenTrain; None if it wasn't.

    OpenTrain has no code for such a refusal, doesn't document the time zone of its days, and its clock may be behind.
    So it is retried when the day has begun everywhere (at noon in UTC it is midnight at UTC-12), and once more when
    it is over everywhere.
    """
    begun = datetime.combine(work_date, time(12), tz.utc)
    return next((moment for moment in (begun, begun + timedelta(days=1)) if refused_at < moment), None)
