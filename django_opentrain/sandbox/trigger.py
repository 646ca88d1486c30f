"""Any event on order: what a payment provider's command-line tool calls "trigger".

The one event asked for goes out, built from what is there; what is missing (a link, a contract, a
milestone) is created without an event, and a contract that is reported as ended, or a link as removed,
really is, so that a site that asks afterwards finds the same. ``install.revoked`` and the budget
warnings change nothing: use the real verbs for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django_opentrain.platform import catalog
from django_opentrain.sandbox import records
from django_opentrain.sandbox.events import (
    Content,
    contract_content,
    link_content,
    milestone_content,
    revoked_content,
)
from django_opentrain.sandbox.lookup import default_job, default_organization, find, find_owned
from django_opentrain.sandbox.models import Contract, Install, Job, Link, Milestone, new_id
from django_opentrain.sandbox.payloads import Json
from django_opentrain.sandbox.store import Store

_WARNINGS: dict[str, Json] = {
    catalog.MILESTONE_BUDGET_LOW: {"budget": {"state": catalog.BUDGET_LOW, "consumedFraction": 0.8}},
    catalog.MILESTONE_BUDGET_DEPLETED: {"budget": {"state": catalog.BUDGET_DEPLETED, "consumedFraction": 1}},
}


def content_of(
    store: Store, install: Install, event_type: str, contract_id: str | None, link_id: str | None
) -> Content:
    """What the event says, before anything is merged over it."""
    if event_type == catalog.INSTALL_REVOKED:
        return revoked_content(store, install, "disconnected")
    contract = None if contract_id is None else find(store, Contract, contract_id)
    link = _link(store, install, contract, link_id)
    if event_type in {catalog.PROJECT_LINK_CREATED, catalog.PROJECT_LINK_REMOVED}:
        if event_type == catalog.PROJECT_LINK_REMOVED:
            store.remove(link)
        return link_content(link)
    contract = contract or _contract(store, link)
    if event_type == catalog.CONTRACT_ENDED and contract.status == catalog.CONTRACT_ACTIVE:
        records.end_contract(store, contract)
    if event_type in {catalog.CONTRACT_STARTED, catalog.CONTRACT_ENDED}:
        return contract_content(store, contract, install, link)
    content = milestone_content(store, contract, _milestone(store, contract), link)
    return content._replace(data=merged(content.data, _WARNINGS.get(event_type, {})))


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
    return jobs[0] if jobs else records.new_job(store, organization, "Triggered", catalog.PAY_PER_HOUR)


def _contract(store: Store, link: Link) -> Contract:
    """The newest active contract of the link's job, or a new one."""
    job = default_job(store, link.job_id)
    active = [c for c in store.owned(Contract, job.id) if c.status == catalog.CONTRACT_ACTIVE]
    if active:
        return active[-1]
    return records.new_contract(store, records.new_freelancer(store, "Maria S."), job)


def _milestone(store: Store, contract: Contract) -> Milestone:
    milestones = store.owned(Milestone, contract.id)
    if milestones:
        return milestones[-1]
    return records.new_milestone(store, contract, Decimal(100), Decimal(10))


def merged(base: Mapping[str, object], over: Mapping[str, object]) -> Json:
    """``base`` with the values of ``over``; objects in both are merged in turn."""
    result: Json = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]  # both are dicts
    return result
