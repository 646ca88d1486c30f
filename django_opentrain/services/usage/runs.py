"""When usage is collected and reported: every contract in turn, a failing one later.

Collecting calls the host's code, which may end this process. So each attempt is recorded before it begins, and
contracts that failed before come last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conflicts import is_conflict, statements_retried
from django_opentrain.errors import OperationRefused, UndecryptableError
from django_opentrain.explanations import NO_REASON, Reason
from django_opentrain.models import Contract, DailyUsage, Install
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import OpenTrainAPIError, OpenTrainError, Unauthorized
from django_opentrain.platform.redaction import describe
from django_opentrain.platform.resources import UsageResult
from django_opentrain.services.usage import changes, collecting, reporting, totals
from django_opentrain.services.workers import failures
from django_opentrain.services.workers.calls import DetachedClient, Steps, alone, together
from django_opentrain.services.workers.locks import Lease, exclusive_lease, lease, reread
from django_opentrain.services.workers.retries import backoff, claim_attempt, next_attempt
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import durable

logger = logging.getLogger(__name__)

#: Errors of the whole install: its other contracts would fail, too.
_OF_THE_INSTALL: Final = (Unauthorized, UndecryptableError)
_STEADY: Final = Q(collect_attempts=0)
#: Installs that are collected from before they are reported: some more than calls that are made at once.
ROUND: Final = 32


@statements_retried()
def run_due(*, stopping: Callable[[], bool] = bool) -> int:
    """Collect and report the usage of every install whose turn it is; returns how many totals were accepted.

    Contracts whose last collection failed come after all others: it may have ended the process. Ends after the
    contract in hand when ``stopping()`` is true.
    """
    installs = _waiting_installs()
    accepted = _run_all(installs, _STEADY, stopping)
    # Host code, too: after what doesn't depend on it.
    if not stopping() and changes.note_changes(timezone.now()):
        accepted += _run_all(_waiting_installs(), _STEADY, stopping)
    return accepted + _run_all(installs, ~_STEADY, stopping)


def _waiting_installs() -> list[Install]:
    """Those from whose contracts there is something to collect or to report. One statement, on most runs the only."""
    now = timezone.now()
    waiting = _can_be_collected(now) | _owe_reports(now) | _were_interrupted()
    return list(Install.objects.callable_at(now).filter(waiting).order_by("pk"))


def _run_all(installs: Sequence[Install], collected: Q, stopping: Callable[[], bool]) -> int:
    return sum(
        _run(installs[begin : begin + ROUND], collected, stopping) for begin in range(0, len(installs), ROUND)
    )


def _run(installs: Sequence[Install], collected: Q, stopping: Callable[[], bool]) -> int:
    """Collect from one install after the other, then report: no call is on its way while the host's code runs."""
    if collected != _STEADY and not Contract.objects.filter(collected, install__in=installs).exists():
        return 0  # the usual case, for which less is asked
    rows = Install.objects.filter(pk__in=[install.pk for install in installs]).order_by("pk")
    to_collect = list(rows.filter(_can_be_collected(timezone.now(), collected) | _were_interrupted()))
    for install in to_collect:
        with _turn(install) as held:
            if held and not stopping():
                _collect_all(install, held, collected, stopping)
    if not to_collect and collected != _STEADY:
        return 0  # the first pass has reported all
    reporting_installs = rows.filter(_owe_reports(timezone.now()))
    return sum(together([_report_all_in_turn(install, stopping) for install in reporting_installs]))


@contextmanager
def _turn(install: Install) -> Iterator[Lease | None]:
    """The install's lease, or None if another worker holds it. A failure of the block is logged, and ends it."""
    with lease(install.pk) as held:
        try:
            yield held
        except soft_time_limit():
            raise
        except Exception as error:  # noqa: BLE001 - no failure of one customer's may delay other customers
            failures.log_failure(logger, "Reporting for", install, error)


def report_install(install: Install, held: Lease) -> int:
    """Collect and report one install's usage; returns how many totals were accepted.

    A contract that fails keeps its totals and is retried later. Raises ``OpenTrainError`` if the other contracts
    would fail, too.
    """
    _collect_all(install, held)
    return alone(_report_all(install, held))


def _collect_all(
    install: Install, held: Lease, collected: Q | None = None, stopping: Callable[[], bool] = bool
) -> None:
    """Collect from the install's contracts, or from ``collected``: those that failed come last."""
    _note_interrupted(install)
    contracts = _collectable(timezone.now()).filter(collected or Q(), install=install)
    for contract in contracts.order_by("collect_attempts", "pk"):
        if stopping():
            return
        held.renew()
        _collect(contract, recent_only=install.is_usable and collecting.knows_older_days(contract))


def _report_all_in_turn(install: Install, stopping: Callable[[], bool]) -> Steps[UsageResult, int]:
    with _turn(install) as held:
        if held:
            return (yield from _report_all(install, held, stopping))
    return 0


def _report_all(
    install: Install, held: Lease, stopping: Callable[[], bool] = bool
) -> Steps[UsageResult, int]:
    """Report the install's contracts, one after the other; returns how many totals were accepted."""
    accepted = 0
    # One for all contracts: it decrypts the token once, and knows whether calls may be made.
    connect = cache(DetachedClient)
    if install.has_scope(catalog.USAGE_WRITE):
        for contract in _reportable(timezone.now()).filter(install=install):
            if stopping():
                break
            held.keep()
            accepted += yield from _report(contract, connect)
    return accepted


@durable
def collect_and_report(contract: Contract) -> int:
    """Collect one contract's days and report its totals, due or not; returns how many were accepted.

    Raises ``BusyError``, ``ReconnectRequired``, ``UndecryptableError`` or ``OpenTrainError``, and for what is then
    stored as the contract's own problem (the host's code failed, OpenTrain refused a day) ``OperationRefused``.
    """
    with exclusive_lease(contract.install):
        reread(contract)
        _collect(contract)
        accepted = alone(_report(contract))
    contract.refresh_from_db()
    if problem := contract.collect_error or contract.report_error:
        raise OperationRefused(problem)
    return accepted


def report_last(contracts: ContractQuerySet) -> None:
    """Collect and report what is due under these contracts, before their link is removed.

    OpenTrain accepts usage of linked jobs only. What it refuses is logged and delays nothing; callers hold the
    install's lease. Raises ``OpenTrainError`` if it could not be reached.
    """
    now = timezone.now()
    for contract in contracts.filter(pk__in=_collectable(now)).select_related("trainer", "install"):
        _collect(contract)
    for contract in contracts.filter(_owes(totals.today())).select_related("trainer", "install"):
        _report_last(contract)


def _report_last(contract: Contract) -> None:
    try:
        reporting.report_now(contract, until=totals.today())
    except OpenTrainError as error:
        refused = isinstance(error, OpenTrainAPIError) and error.from_opentrain and not error.outcome_unknown
        if not refused or isinstance(error, Unauthorized) or error.asks_for_pause:
            raise
        logger.error(
            "Contract %s loses its link unreported: %s",
            contract.opentrain_id,
            describe(error),
            extra=contract.log_fields,
        )


def _collectable(now: datetime) -> ContractQuerySet:
    """Contracts of which the host may have something new, and that are due."""
    due = Q(next_collect_at=None) | Q(next_collect_at__lte=now)
    rows = Contract.objects.filter(changes.new_work(now), changes.something_new(now), due)
    return rows.select_related("trainer", "install")


def _reportable(now: datetime) -> ContractQuerySet:
    waiting = Q(next_report_at=None) | Q(next_report_at__lte=now)
    confirmed = Q(report_unconfirmed_until=None) | Q(report_unconfirmed_until__lte=now)
    rows = Contract.objects.filter(waiting, confirmed, _owes(totals.last_day()))
    return rows.select_related("trainer", "install")


def _unfinished() -> ContractQuerySet:
    """Contracts whose last attempt to collect has no outcome."""
    return Contract.objects.filter(collect_attempts__gt=0, collect_error="")


def _can_be_collected(now: datetime, collected: Q | None = None) -> Q:
    """Installs with contracts, such as ``collected``, from which there may be something to collect."""
    return Q(Exists(_collectable(now).filter(collected or Q(), install=OuterRef("pk"))))


def _were_interrupted() -> Q:
    return Q(Exists(_unfinished().filter(install=OuterRef("pk"))))


def _owe_reports(now: datetime) -> Q:
    return Q(Exists(_reportable(now).filter(install=OuterRef("pk"))))


def _owes(until: date) -> Exists:
    """Contracts with totals that OpenTrain doesn't have."""
    return Exists(DailyUsage.objects.filter(contract=OuterRef("pk")).due(until))


def _collect(contract: Contract, *, recent_only: bool = False) -> None:
    # If a first attempt ends the process, the next run notes it: no page should show a problem during an attempt.
    changes: dict[str, Any] = _interrupted() if contract.collect_attempts else {}
    if not claim_attempt(contract, attempts="collect_attempts", next_at="next_collect_at", **changes):
        return
    try:
        collecting.collect(contract, recent_only=recent_only)
    except BaseException as error:
        _note_failure(contract, error)
        if not isinstance(error, Exception) or isinstance(error, soft_time_limit()):
            raise  # the process is about to end, or the task


def _note_failure(contract: Contract, error: BaseException) -> None:
    logger.log(
        logging.WARNING if is_conflict(error) else logging.ERROR,
        "Collecting the usage of contract %s failed: %s [usage-uncollected]",
        contract.opentrain_id,
        describe(error),
        extra=contract.log_fields,
    )
    Contract.objects.filter(pk=contract.pk).update(
        next_collect_at=timezone.now() + backoff(contract.collect_attempts),
        **Reason.of(error).columns("collect_error"),
    )


def _note_interrupted(install: Install) -> None:
    """Record attempts without an outcome as interrupted. The caller holds the install's lease: none is running."""
    if count := _unfinished().filter(install=install).update(**_interrupted()):
        logger.error(
            "Install %s: the process that collected usage ended in the host's code, in %d contract(s)."
            " [usage-uncollected]",
            install.opentrain_id,
            count,
            extra=install.log_fields,
        )


def _interrupted() -> dict[str, str]:
    reason = Reason.note(_("The last attempt didn't finish: its process ended, or it is still running."))
    return reason.columns("collect_error")


def _report(contract: Contract, connect: reporting.Connect = DetachedClient) -> Steps[UsageResult, int]:
    stored = Contract.objects.filter(pk=contract.pk)
    try:
        result = yield from reporting.steps(contract, connect)
    except Exception as error:
        attempts, again = next_attempt(contract.report_attempts + 1, error)
        stored.update(
            report_attempts=attempts,
            next_report_at=again,
            **Reason.of(error).columns("report_error"),
        )
        pauses = isinstance(error, OpenTrainError) and error.asks_for_pause
        if pauses or isinstance(error, (*_OF_THE_INSTALL, *soft_time_limit())):
            raise
        failures.log_failure(
            logger, f"Reporting contract {contract.opentrain_id} of", contract.install, error
        )
        return 0
    refused = Reason("\n".join(result.errors[:20]), "BAD_REQUEST") if result.errors else NO_REASON
    outcome = {"report_attempts": 0, "next_report_at": None, **refused.columns("report_error")}
    if totals.differences(contract, outcome):
        stored.update(**outcome)
    return result.accepted
