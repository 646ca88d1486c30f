"""Reporting a contract's due totals to OpenTrain.

Source: OpenTrain's documentation, "Report usage": each entry replaces what is stored for its (worker, day), so
reporting twice costs nothing, and only the newest total matters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from django.db.models import F, Q
from django.utils import timezone

from django_opentrain.models import Contract, DailyUsage
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import BadRequest, InvalidRequest
from django_opentrain.platform.redaction import redact
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.services.access import contracts
from django_opentrain.services.usage.totals import last_day

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Report:
    """What became of a contract's due totals."""

    accepted: int = 0
    refused: int = 0
    #: Days in the future, which OpenTrain refuses: they wait.
    held: int = 0
    errors: list[str] = field(default_factory=list)


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
