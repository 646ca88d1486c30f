"""For a host's own views and templates: what the work in a project is funded with, for the one who asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_opentrain.adapters import AdapterError
from django_opentrain.adapters.tenants import may_view, tenant_of_project, tenants_of
from django_opentrain.conf import CUSTOMER_PAGES, TRAINER_PAGES
from django_opentrain.models import AccessGrant, Contract, ProjectLink
from django_opentrain.web.parts import is_open
from django_opentrain.web.presenters import budgets
from django_opentrain.web.trainers import Trainer, trainer_of

__all__ = ["ProjectBudget", "project_budget"]

State = Contract.BudgetState
_WORSE: Final = (State.OK, State.LOW, State.DEPLETED)


@dataclass(frozen=True, kw_only=True)
class ProjectBudget:
    """The budget of the work in a project: of several contracts, the one that is worst off.

    :param state: ``OK``, ``LOW`` or ``DEPLETED``.
    :param text: what it is, and what to do, for the trainer or the customer who asks.
    :param url: the page of ours that says more; "" where that is closed.
    """

    state: str
    tone: str
    text: str
    url: str
    #: Whether work is paused by it, for a trainer who asks.
    is_paused: bool = False


def project_budget(request: HttpRequest, project_id: object) -> ProjectBudget | None:
    """The budget of this project's active contracts, for its trainer or its customer.

    A trainer reads of their own contracts. None for everyone else, and where no contract is active. Raises no error
    of its own: the page is the host's.
    """
    if not request.user.is_authenticated:
        return None
    try:
        trainer = trainer_of(request)
        own = _of_trainer(trainer, str(project_id)) if trainer else None
        return own or _of_customer(request, str(project_id))
    except AdapterError:
        return None


def project_tenant(request: HttpRequest, project_id: str) -> str | None:
    """Whose project it is, of the user's customers. Raises ``AdapterError``."""
    tenants = tenants_of(request)
    if len(tenants) < 2:
        return next(iter(tenants), None)
    links = ProjectLink.objects.live().filter(install__tenant__in=tenants, external_project_id=project_id)
    linked = set(links.values_list("install__tenant", flat=True))
    tenant = next((each for each in tenants if each in linked), None)
    return tenant or tenant_of_project(tenants, project_id)


def _of_trainer(trainer: Trainer, project_id: str) -> ProjectBudget | None:
    grants = AccessGrant.objects.filter(
        contract__in=trainer.contracts().active(),
        link__external_project_id=project_id,
        participant__opentrain_user_id=trainer.opentrain_user_id,
    )
    open_ones = list(grants.exclude(desired=AccessGrant.Desired.REVOKED).select_related("contract"))
    if not open_ones:
        return None
    contract = _worst([each.contract for each in open_ones])
    is_paused = any(each.desired == AccessGrant.Desired.PAUSED for each in open_ones)
    return ProjectBudget(
        state=contract.budget_state,
        tone=budgets.TONES[State(contract.budget_state)],
        text=_for_trainer(contract, is_paused),
        url=_page("work-contract", contract) if is_open(TRAINER_PAGES) else "",
        is_paused=is_paused,
    )


def _for_trainer(contract: Contract, is_paused: bool) -> str:
    if is_paused:
        return _("The funded work is done. Your work here is paused until the customer funds more.")
    if contract.budget_state == State.DEPLETED:
        return _(
            "The funded work is done. Ask your customer before you continue: what you do now isn't funded."
        )
    if contract.budget_state == State.LOW:
        return f"{_('The funded work is running low.')} {budgets.left(contract)}".strip()
    return budgets.left(contract)


def _of_customer(request: HttpRequest, project_id: str) -> ProjectBudget | None:
    tenant = project_tenant(request, project_id)
    if tenant is None or not may_view(request, tenant):
        return None
    links = ProjectLink.objects.live().filter(install__tenant=tenant, external_project_id=project_id)
    contracts = list(Contract.objects.active().filter(links__in=links).distinct())
    if not contracts:
        return None
    worst = _worst(contracts)
    count = sum(each.budget_state == worst.budget_state for each in contracts)
    return ProjectBudget(
        state=worst.budget_state,
        tone=budgets.TONES[State(worst.budget_state)],
        text=_for_customer(worst, count),
        url=_page("contract", worst) if is_open(CUSTOMER_PAGES) else "",
    )


def _for_customer(worst: Contract, count: int) -> str:
    if worst.budget_state == State.DEPLETED:
        text = ngettext(
            "The budget of %(count)d contract in this project is used up. Fund it on OpenTrain to continue the work.",
            "The budgets of %(count)d contracts in this project are used up. Fund them on OpenTrain to continue the"
            " work.",
            count,
        )
        return text % {"count": count}
    if worst.budget_state == State.LOW:
        text = ngettext(
            "The budget of %(count)d contract in this project is running low.",
            "The budgets of %(count)d contracts in this project are running low.",
            count,
        )
        return text % {"count": count}
    return budgets.left(worst) if count == 1 else ""


def _worst(contracts: Sequence[Contract]) -> Contract:
    return max(contracts, key=lambda each: _WORSE.index(State(each.budget_state)))


def _page(name: str, contract: Contract) -> str:
    return reverse(f"opentrain:{name}", kwargs={"pk": contract.pk})
