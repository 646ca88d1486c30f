"""Recording contracts, their trainers and their budgets as OpenTrain reports them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.adapters import get_adapter
from django_opentrain.conflicts import retried
from django_opentrain.explanations import NO_REASON, Reason
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, Participant
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event, order_key
from django_opentrain.platform.redaction import describe
from django_opentrain.platform.resources import BudgetInfo, ContractInfo
from django_opentrain.services.access import grants
from django_opentrain.services.access.unit_of_work import UnitOfWork, unit_of_work
from django_opentrain.services.workers import locks
from django_opentrain.services.workers.locks import install_lock
from django_opentrain.services.workers.retries import backoff, claim_attempt
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import atomic

logger = logging.getLogger(__name__)

#: What OpenTrain reports about a contract, except its status.
DETAILS: Final = ("job_id", "title", "start_date", "end_date", "start_at", "end_at")

_SCALE: Final = Decimal("0.0001")
#: By how much OpenTrain's clock and ours may differ.
_CLOCK_SLACK: Final = timedelta(minutes=5)


@retried
def save(install: Install, info: ContractInfo) -> Contract:
    """Save a contract. ``ended`` is terminal: nothing makes it active again."""
    with unit_of_work(install) as unit:
        return record(unit, info)


def record(unit: UnitOfWork, info: ContractInfo, *, event: Event | None = None) -> Contract:
    """What ``save`` does. An ``event`` that is older than the newest one applied only fills in what is missing."""
    contract, created = unit.contracts.get_or_add(info.id)
    stale = event is not None and order_key(event.id) < order_key(contract.last_event_id)
    for name in DETAILS:
        reported, stored = getattr(info, name), getattr(contract, name)
        setattr(contract, name, (stored or reported) if stale else (reported or stored))
    if event is not None and not stale:
        contract.last_event_id = event.id
    if created and info.status != catalog.CONTRACT_HAS_ENDED:
        signals.send_on_commit(signals.contract_started, Contract, contract=contract)
    return contract


@retried
def set_trainer(contract: Contract, trainer: Participant) -> None:
    """Save who was hired. Usage under their id becomes the hired trainer's, whose id is ""."""
    if contract.trainer_id == trainer.pk:
        return
    with install_lock(contract.install):
        Contract.objects.filter(pk=contract.pk).update(trainer=trainer)
        _adopt_usage(contract, trainer)
    contract.trainer = trainer


def record_trainer(unit: UnitOfWork, contract: Contract, trainer: Participant) -> None:
    """What ``set_trainer`` does."""
    if trainer.pk is None:
        known = contract.trainer_id is None and contract.trainer is trainer
    else:
        known = contract.trainer_id == trainer.pk
    if not known:
        unit.set_trainer(contract, trainer)
        if contract.pk is not None:
            _adopt_usage(contract, trainer)


def _adopt_usage(contract: Contract, trainer: Participant) -> None:
    days = DailyUsage.objects.filter(contract=contract)
    counted = days.filter(worker_id=trainer.opentrain_user_id)
    if counted.exists():
        taken = list(days.filter(worker_id="").values_list("work_date", flat=True))
        counted.exclude(work_date__in=taken).update(worker_id="", updated_at=timezone.now())


@retried
def end(contract: Contract, cause: str) -> int:
    """The contract has ended, for good: every grant under it is revoked. Returns how many were still wanted."""
    now = timezone.now()
    with install_lock(contract.install):
        ended = Contract.objects.filter(pk=contract.pk).exclude(status=Contract.Status.ENDED)
        if ended.update(status=Contract.Status.ENDED, ended_at=now, updated_at=now):
            contract.status, contract.ended_at = Contract.Status.ENDED, now
            signals.send_on_commit(signals.contract_ended, Contract, contract=contract)
        return grants.revoke(AccessGrant.objects.filter(contract=contract), cause)


def record_end(unit: UnitOfWork, contract: Contract, cause: str) -> None:
    """What ``end`` does."""
    if contract.status != Contract.Status.ENDED:
        contract.status, contract.ended_at = Contract.Status.ENDED, timezone.now()
        signals.send_on_commit(signals.contract_ended, Contract, contract=contract)
    unit.revoke_contract(contract, cause)


def save_budget(
    contract: Contract, budget: BudgetInfo, *, asked_at: datetime | None = None, **changes: Any
) -> None:
    """Save a budget. With ``asked_at``, when OpenTrain was asked for it: unless what is stored was saved since.

    Other ``changes`` of the contract are written in any case, with the budget where one statement can do it.
    """
    values = _columns(budget)
    saved = _store_same_state(contract, {**values, **changes}, asked_at)
    if not saved and changes:
        Contract.objects.filter(pk=contract.pk).update(**changes)
    if saved or _store_budget(contract, values, asked_at):
        for name, value in values.items():
            setattr(contract, name, value)


def save_budgets(answers: Iterable[tuple[Contract, BudgetInfo]], *, asked_at: datetime) -> None:
    """Save the answers to calls that began then, as ``save_budget`` does; what is as it was, by one statement.

    The contracts were loaded since then.
    """
    same = []
    for contract, budget in answers:
        values = _columns(budget)
        del values["budget_updated_at"]
        if any(getattr(contract, name) != value for name, value in values.items()):
            save_budget(contract, budget, asked_at=asked_at)
        else:
            same.append(contract.pk)
    if same:
        unchanged = _not_newer(Contract.objects.filter(pk__in=same), asked_at)
        unchanged.update(budget_updated_at=timezone.now())


def record_budget(unit: UnitOfWork, contract: Contract, budget: BudgetInfo, event: Event) -> None:
    """Record the budget that an event says, unless what is stored is newer."""
    if _is_outdated(contract, event):
        return
    for name, value in _columns(budget).items():
        setattr(contract, name, value)
    contract.budget_event_id = event.id
    unit.follow_budget(contract)


def _columns(budget: BudgetInfo) -> dict[str, Any]:
    milestone = budget.active_milestone
    return {
        "payment_type": budget.payment_type,
        "budget_state": budget.state if budget.state in catalog.BUDGET_STATES else catalog.BUDGET_OK,
        "funded_volume": _rounded(budget.funded_volume),
        "consumed_volume": _rounded(budget.consumed_volume),
        "remaining_volume": _rounded(budget.remaining_volume),
        "consumed_fraction": _rounded(budget.consumed_fraction),
        "active_milestone": milestone
        and {"id": milestone.id, "name": milestone.name, "status": milestone.status},
        "budget_updated_at": timezone.now(),
    }


@retried
def _store_same_state(contract: Contract, values: Mapping[str, Any], asked_at: datetime | None) -> bool:
    """Save the response to a call, if it has the state that is stored: then no grant has to follow, nor is locked."""
    same = Contract.objects.filter(pk=contract.pk, budget_state=values["budget_state"])
    return asked_at is not None and bool(_not_newer(same, asked_at).update(**values))


@retried
def _store_budget(contract: Contract, values: Mapping[str, Any], asked_at: datetime | None) -> bool:
    rows = _not_newer(Contract.objects.filter(pk=contract.pk), asked_at)
    # If the customer has reconnected during the call, it belongs to the install that took over.
    with install_lock(Install.objects.get(contracts=contract.pk)):
        saved = bool(rows.update(**values))
        if saved:
            grants.follow_budgets(AccessGrant.objects.filter(contract=contract.pk))
    return saved


def _not_newer(rows: ContractQuerySet, asked_at: datetime | None) -> ContractQuerySet:
    """Those of them whose budget wasn't saved since then."""
    if asked_at is None:
        return rows
    return rows.filter(Q(budget_updated_at=None) | Q(budget_updated_at__lte=asked_at))


def fetch_budget(contract: Contract) -> None:
    """Fetch a contract's budget from OpenTrain and save it. Raises ``OpenTrainError``."""
    asked_at = timezone.now()
    save_budget(contract, contract.install.client.get_budget(contract.opentrain_id), asked_at=asked_at)


def _is_outdated(contract: Contract, event: Event) -> bool:
    """A delivery's retry can be two hours late: by then a newer event or our own call may have been saved."""
    if contract.budget_event_id and order_key(event.id) <= order_key(contract.budget_event_id):
        return True
    read_at = contract.budget_updated_at
    return bool(read_at and event.created_at and event.created_at < read_at - _CLOCK_SLACK)


def _rounded(number: Decimal | None) -> Decimal | None:
    return None if number is None else number.quantize(_SCALE)


def announce_budgets() -> int:
    """Notify the adapter of each changed budget state; returns how many succeeded. A failure is retried."""
    return sum(each_budget_announced())


def each_budget_announced() -> Iterator[bool]:
    """Do what ``announce_budgets`` does, and yield after each whether it succeeded."""
    due = Contract.objects.active().budget_to_announce(timezone.now())
    for pk in list(due.order_by("announce_attempts", "pk").values_list("pk", flat=True)[:500]):
        yield _announce_budget(pk)


def _announce_budget(pk: int) -> bool:
    rows = Contract.objects.filter(pk=pk)
    contract = rows.budget_to_announce(timezone.now()).first()
    if contract is None or not _claim_announcement(contract):
        return False
    previous = contract.announced_budget_state
    try:
        get_adapter().budget_changed(contract, previous)
    except Exception as error:  # host code: whatever it raises, it is retried
        logger.error(
            "budget_changed failed for contract %s: %s",
            contract.opentrain_id,
            describe(error),
            extra=contract.log_fields,
        )
        again = timezone.now() + backoff(contract.announce_attempts)
        rows.update(next_announce_at=again, **Reason.of(error).columns("announce_error"))
        if isinstance(error, soft_time_limit()):
            raise
        return False
    _record_announcement(contract, previous)
    return True


@retried
def _record_announcement(contract: Contract, previous: str) -> None:
    with atomic():
        Contract.objects.filter(pk=contract.pk).update(
            announced_budget_state=contract.budget_state,
            announce_attempts=0,
            next_announce_at=None,
            **NO_REASON.columns("announce_error"),
        )
        signals.send_on_commit(signals.budget_changed, Contract, contract=contract, previous_state=previous)


def _claim_announcement(contract: Contract) -> bool:
    return claim_attempt(
        contract,
        attempts="announce_attempts",
        next_at="next_announce_at",
        hold=locks.CALL_LEASE,
        **Reason.note(_("The last attempt did not finish: its process ended.")).columns("announce_error"),
    )
