"""When usage is collected and reported: every contract in its turn, a failing one later."""

from __future__ import annotations

import logging
from datetime import date, datetime

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from django_opentrain.models import Contract, DailyUsage, Install
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import OpenTrainAPIError, OpenTrainError, RateLimited, Unauthorized
from django_opentrain.platform.redaction import describe
from django_opentrain.services.usage import collecting, reporting, totals
from django_opentrain.services.workers import failures
from django_opentrain.services.workers.locks import Lease, lease
from django_opentrain.services.workers.retries import backoff

logger = logging.getLogger(__name__)


def run_due() -> int:
    """Collect and report the usage of every install whose turn it is; returns how many totals were accepted."""
    accepted = 0
    for install in Install.objects.callable_at(timezone.now()).order_by("pk"):
        with lease(install.pk) as held:
            if held is None:
                continue
            try:
                accepted += report_install(install, held)
            except Exception as error:  # noqa: BLE001 - whatever it is, other customers' people want their pay
                failures.log_failure(logger, "Reporting for", install, error)
    return accepted


def report_install(install: Install, held: Lease) -> int:
    """Collect and report all contracts of one install; returns how many totals were accepted.

    A contract that OpenTrain refuses keeps its totals and is tried again later. Raises ``OpenTrainError`` when it
    makes no sense to go on with the others.
    """
    for contract in _collectable(install, timezone.now()):
        held.renew()
        _collect(contract, recent_only=install.is_usable and collecting.collected_today(contract))
    if not install.has_scope(catalog.USAGE_WRITE):
        return 0
    accepted = 0
    for contract in _reportable(install, timezone.now()):
        held.renew()
        accepted += _report(contract)
    return accepted


def report_last(contracts: ContractQuerySet) -> None:
    """Collect and report what is owed under these contracts, before their link goes.

    OpenTrain takes usage of linked jobs only. What it refuses is logged and holds up nothing; callers hold the
    install's lease. Raises ``OpenTrainError`` when it could not be asked.
    """
    for contract in contracts.filter(_worked_lately(timezone.now())).select_related("trainer", "install"):
        _collect(contract)
    for contract in contracts.filter(_owes(totals.today())).select_related("trainer", "install"):
        _report_last(contract)


def _report_last(contract: Contract) -> None:
    try:
        reporting.report(contract, until=totals.today())
    except OpenTrainError as error:
        refused = isinstance(error, OpenTrainAPIError) and error.from_opentrain and not error.outcome_unknown
        if not refused or isinstance(error, (Unauthorized, RateLimited)):
            raise
        logger.error("Contract %s loses its link unreported: %s", contract.opentrain_id, describe(error))


def _collectable(install: Install, now: datetime) -> ContractQuerySet:
    return Contract.objects.filter(_worked_lately(now), install=install).select_related("trainer", "install")


def _worked_lately(now: datetime) -> Q:
    """Contracts under which there can be new work: active ones, and those that ended a short while ago."""
    return Q(status=Contract.Status.ACTIVE) | Q(ended_at__gte=now - collecting.COLLECT_AFTER_END)


def _reportable(install: Install, now: datetime) -> ContractQuerySet:
    waiting = Q(next_report_at=None) | Q(next_report_at__lte=now)
    return Contract.objects.filter(waiting, _owes(totals.last_day()), install=install).select_related(
        "trainer", "install"
    )


def _owes(until: date) -> Exists:
    """Contracts with totals that OpenTrain doesn't have."""
    return Exists(DailyUsage.objects.filter(contract=OuterRef("pk")).due(until))


def _collect(contract: Contract, *, recent_only: bool = False) -> None:
    try:
        collecting.collect(contract, recent_only=recent_only)
    except Exception as error:  # noqa: BLE001 - host code: one contract's fault must not keep others from their pay
        logger.error("Collecting the usage of contract %s failed: %s", contract.opentrain_id, describe(error))
        Contract.objects.filter(pk=contract.pk).update(report_error=describe(error))
    else:
        _forget_what_healed(contract)


def _forget_what_healed(contract: Contract) -> None:
    """Days could not be collected, and now they were; what OpenTrain has refused stays a problem."""
    refused = DailyUsage.objects.filter(contract=contract, status=DailyUsage.Status.REFUSED)
    if contract.report_error and not contract.report_attempts and not refused.exists():
        Contract.objects.filter(pk=contract.pk).update(report_error="")


def _report(contract: Contract) -> int:
    mine = Contract.objects.filter(pk=contract.pk)
    try:
        result = reporting.report(contract)
    except OpenTrainError as error:
        attempts = contract.report_attempts + 1
        mine.update(
            report_attempts=attempts,
            next_report_at=timezone.now() + backoff(attempts),
            report_error=describe(error),
        )
        if isinstance(error, (Unauthorized, RateLimited)):
            raise
        logger.warning("Reporting contract %s failed: %s", contract.opentrain_id, describe(error))
        return 0
    mine.update(report_attempts=0, next_report_at=None, report_error="\n".join(result.errors[:20]))
    return result.accepted
