"""The control page's contracts: who works, on what, for how long, and what can happen to them."""

from __future__ import annotations

from decimal import Decimal

from django_opentrain.platform.catalog import CONTRACT_ACTIVE, PAY_PER_HOUR, PAY_PER_LABEL
from django_opentrain.sandbox.budget import Budget, budget_of
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import Contract, Freelancer, Job, Milestone, Organization
from django_opentrain.sandbox.pages.html import Markup, join, tag
from django_opentrain.sandbox.pages.layout import (
    Row,
    action,
    badge,
    field,
    happened,
    ids,
    section,
    table,
    text_input,
)
from django_opentrain.sandbox.store import Store

LATEST = 100
UNITS = {PAY_PER_HOUR: "hours", PAY_PER_LABEL: "labels"}


def contracts_section(store: Store) -> Markup:
    """The latest contracts, the newest first."""
    rows = [_contract(store, each) for each in reversed(store.all(Contract)[-LATEST:])]
    columns = ("Trainer", "Contract", "Work Email", "Budget", "Actions")
    empty = "No contracts yet: hire a trainer above."
    return section("contracts", "Contracts", table("Contracts", columns, rows, empty))


def _contract(store: Store, contract: Contract) -> Row:
    trainer = store.get(Freelancer, contract.freelancer_id)
    return (
        _name(store, contract, trainer),
        join(
            badge(contract.status),
            happened("Hired", contract.start_date),
            happened("Ended", contract.end_date),
        ),
        _email(store, contract, trainer),
        _budget(store, contract),
        _actions(contract),
    )


def _name(store: Store, contract: Contract, trainer: Freelancer | None) -> Markup:
    job = find(store, Job, contract.job_id)
    customer = find(store, Organization, job.organization_id)
    return join(
        tag("strong", trainer.display_name if trainer else "no trainer yet"),
        tag("p", contract.title),
        tag("p", customer.name, class_="aside"),
        ids(Contract=contract.id, Trainer=contract.freelancer_id),
    )


def _email(store: Store, contract: Contract, trainer: Freelancer | None) -> Markup:
    if trainer is None:
        return join("none")
    release_at = trainer.email_release_at
    if release_at is not None and release_at <= store.clock.now():
        return tag("code", trainer.work_email)
    release = action("release_email", "Release", section="contracts", contractId=contract.id)
    return join(tag("p", "held back"), release)


def _budget(store: Store, contract: Contract) -> Markup:
    budget = budget_of(store, contract)
    funded = [each.funded_at for each in store.owned(Milestone, contract.id)]
    used = contract.last_usage_at
    return join(
        badge(budget.state),
        " ",
        _share(budget),
        tag("p", _done(budget), class_="aside"),
        happened("Funded", iso(funded[-1]) if funded else None),
        happened("Reported last", None if used is None else iso(used)),
    )


def _share(budget: Budget) -> str:
    unit = UNITS.get(budget.contract.payment_type or "")
    if unit is None:
        return f"{_short(budget.funded_amount_usd)} USD, a fixed price"
    return f"{_short(budget.consumed_volume)} of {_short(budget.funded_volume)} {unit}"


def _short(volume: Decimal) -> str:
    """With at most two decimals."""
    return f"{volume:.2f}".rstrip("0").rstrip(".")


def _done(budget: Budget) -> str:
    minutes, seconds = divmod(budget.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {seconds} s, {budget.tasks} tasks, {budget.labels} labels"


def _actions(contract: Contract) -> Markup:
    fund = action(
        "fund",
        "Fund",
        field("USD", text_input("amountUsd", value="100", kind="number")),
        field("Volume", text_input("volume", value="10", kind="number", required=False)),
        section="contracts",
        contractId=contract.id,
    )
    work = action(
        "work",
        "Add work",
        field("Hours", text_input("hours", kind="number", required=False)),
        field("Tasks", text_input("tasks", kind="number", required=False)),
        field("Labels", text_input("labels", kind="number", required=False)),
        section="contracts",
        contractId=contract.id,
    )
    end = action("end", "End", section="contracts", contractId=contract.id)
    if contract.status != CONTRACT_ACTIVE:
        return fund
    return join(tag("div", fund, end), work if contract.freelancer_id else None)
