"""Any event on order: what a payment provider's command-line tool calls "trigger".

The one event asked for goes out, built from what is there; what is missing (a link, a contract, a
milestone) is made quietly, and a contract that is said to have ended, or a link to be gone, really
is, so that a site that asks afterwards finds what it was told. ``install.revoked`` and the budget
warnings only say so: use the real actions for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django_opentrain.platform.catalog import (
    BUDGET_DEPLETED,
    BUDGET_LOW,
    CONTRACT_ACTIVE,
    CONTRACT_ENDED,
    CONTRACT_STARTED,
    INSTALL_REVOKED,
    MILESTONE_BUDGET_DEPLETED,
    MILESTONE_BUDGET_LOW,
    PROJECT_LINK_CREATED,
    PROJECT_LINK_REMOVED,
)
from django_opentrain.sandbox.actions import (
    create_freelancer,
    create_job,
    mark_ended,
    new_contract,
    new_milestone,
)
from django_opentrain.sandbox.events import contract_data, emit, milestone_data, revoked_data
from django_opentrain.sandbox.lookup import default_job, default_organization, find, find_owned
from django_opentrain.sandbox.models import (
    Contract,
    Event,
    Install,
    Job,
    Link,
    Milestone,
    new_id,
)
from django_opentrain.sandbox.payloads import Json, link_json
from django_opentrain.sandbox.store import Store

_WARNINGS: dict[str, Json] = {
    MILESTONE_BUDGET_LOW: {"budget": {"state": BUDGET_LOW, "consumedFraction": 0.8}},
    MILESTONE_BUDGET_DEPLETED: {"budget": {"state": BUDGET_DEPLETED, "consumedFraction": 1}},
}


def trigger(
    store: Store,
    install: Install,
    event_type: str,
    *,
    contract_id: str | None = None,
    link_id: str | None = None,
    data: Mapping[str, object] | None = None,
    raw_body: str | None = None,
) -> Event:
    """Emit one event of ``event_type`` to the endpoints of ``install``.

    :param data: merged, object by object, over the event's usual data.
    :param raw_body: sent, signed, instead of the whole body.
    """
    with store.transaction():
        resource_id, job_id, usual = _content(store, install, event_type, contract_id, link_id)
        return emit(
            store,
            install,
            event_type,
            resource_id=resource_id,
            job_id=job_id,
            data=merged(usual, data or {}),
            raw_body=raw_body,
        )


def _content(
    store: Store, install: Install, event_type: str, contract_id: str | None, link_id: str | None
) -> tuple[str, str | None, Json]:
    """The resource, the job and the data of the event."""
    if event_type == INSTALL_REVOKED:
        return install.id, None, revoked_data(install, "disconnected")
    contract = None if contract_id is None else find(store, Contract, contract_id)
    link = _link(store, install, contract, link_id)
    if event_type in {PROJECT_LINK_CREATED, PROJECT_LINK_REMOVED}:
        if event_type == PROJECT_LINK_REMOVED:
            store.remove(link)
        return link.id, link.job_id, {"projectLink": link_json(link)}
    contract = contract or _contract(store, link)
    if event_type == CONTRACT_ENDED and contract.status == CONTRACT_ACTIVE:
        mark_ended(store, contract)
    if event_type in {CONTRACT_STARTED, CONTRACT_ENDED}:
        return contract.id, contract.job_id, contract_data(store, contract, install, link)
    milestone = _milestone(store, contract)
    usual = milestone_data(store, contract, milestone, link)
    return milestone.id, contract.job_id, merged(usual, _WARNINGS.get(event_type, {}))


def _link(store: Store, install: Install, contract: Contract | None, link_id: str | None) -> Link:
    """The link named, or the newest of the contract's job (of any job), or a new one."""
    if link_id is not None:
        return find_owned(store, Link, link_id, install.id)
    links = [link for link in store.owned(Link, install.id) if link.job_id is not None]
    if contract is not None:
        links = [link for link in links if link.job_id == contract.job_id]
    if links:
        return links[-1]
    link = Link(
        id=new_id("lnk"),
        install_id=install.id,
        external_project_id=new_id("triggered"),
        created_at=store.clock.now(),
        job_id=_first_job(store, install).id if contract is None else contract.job_id,
    )
    store.put(link)
    return link


def _first_job(store: Store, install: Install) -> Job:
    organization = default_organization(store, install.organization_id)
    jobs = store.owned(Job, organization.id)
    return jobs[0] if jobs else create_job(store, organization, "Triggered")


def _contract(store: Store, link: Link) -> Contract:
    """The newest active contract of the link's job, or a new one."""
    job = default_job(store, link.job_id)
    active = [c for c in store.owned(Contract, job.id) if c.status == CONTRACT_ACTIVE]
    if active:
        return active[-1]
    return new_contract(store, create_freelancer(store, "Maria S."), job)


def _milestone(store: Store, contract: Contract) -> Milestone:
    milestones = store.owned(Milestone, contract.id)
    if milestones:
        return milestones[-1]
    return new_milestone(store, contract, Decimal(100), Decimal(10))


def merged(base: Mapping[str, object], over: Mapping[str, object]) -> Json:
    """``base`` with the values of ``over``; objects in both are merged in turn."""
    result: Json = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]  # both are dicts
    return result
