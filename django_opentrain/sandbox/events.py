"""Events: what happened, for whom, in which words, and the deliveries that it starts.

An event belongs to one install and goes to each of that install's active endpoints that
subscribed to its type. No body says which install it is for. Ids rise by one.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from django_opentrain.platform import catalog
from django_opentrain.sandbox.budget import budget_of, milestone_json
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.models import (
    Contract,
    Delivery,
    Endpoint,
    Event,
    Freelancer,
    Install,
    Link,
    Milestone,
    new_id,
)
from django_opentrain.sandbox.payloads import Json, contract_json, freelancer_json, link_json
from django_opentrain.sandbox.store import Store


class Content(NamedTuple):
    """What an event is about, and what it says."""

    resource_id: str
    job_id: str | None
    data: Json


def emit(
    store: Store, install: Install, event_type: str, content: Content, *, raw_body: str | None = None
) -> Event:
    """Record an event and queue its deliveries. ``raw_body`` replaces the whole body."""
    sequence = store.last_event + 1
    now = store.clock.now()
    body: Json = {
        "id": str(sequence),
        "type": event_type,
        "apiVersion": catalog.API_VERSION,
        "createdAt": iso(now),
        "resourceId": content.resource_id,
        "jobId": content.job_id,
        "data": content.data,
    }
    event = Event(
        id=str(sequence),
        install_id=install.id,
        type=event_type,
        resource_id=content.resource_id,
        body=json_text(body) if raw_body is None else raw_body,
        created_at=now,
    )
    store.put(event)
    for endpoint in store.owned(Endpoint, install.id):
        if endpoint.status == catalog.ENDPOINT_ACTIVE and event_type in endpoint.event_types:
            delivery = Delivery(
                id=new_id("whd"), endpoint_id=endpoint.id, event_id=event.id, next_attempt_at=now
            )
            store.put(delivery)
    return event


def json_text(value: object) -> str:
    """JSON as JavaScript writes it: compact, in the letters that it is about."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def links_of_job(store: Store, job_id: str) -> list[tuple[Install, Link]]:
    """The links of a job whose installs are active: those that get the events of its contracts."""
    linked = []
    for link in store.all(Link):
        install = store.get(Install, link.install_id)
        if link.job_id == job_id and install is not None and install.status == catalog.INSTALL_ACTIVE:
            linked.append((install, link))
    return linked


def emit_contract(store: Store, contract: Contract, event_type: str) -> None:
    """``contract.started`` or ``contract.ended``: one event for each link of the job."""
    for install, link in links_of_job(store, contract.job_id):
        emit(store, install, event_type, contract_content(store, contract, install, link))


def emit_milestone(store: Store, contract: Contract, event_type: str, milestone: Milestone | None) -> None:
    """One of the three ``milestone.*`` events, for each link of the job."""
    for install, link in links_of_job(store, contract.job_id):
        emit(store, install, event_type, milestone_content(store, contract, milestone, link))


def contract_content(store: Store, contract: Contract, install: Install, link: Link) -> Content:
    data: Json = {"contract": contract_json(contract)}
    freelancer = store.get(Freelancer, contract.freelancer_id)
    if freelancer is not None:
        data["freelancer"] = freelancer_json(freelancer, install, store.clock.now())
    data["projectLink"] = link_json(link)
    return Content(contract.id, contract.job_id, data)


def milestone_content(store: Store, contract: Contract, milestone: Milestone | None, link: Link) -> Content:
    data: Json = {
        "contractId": contract.id,
        "contract": contract_json(contract),
        "milestone": None if milestone is None else milestone_json(milestone),
        "budget": budget_of(store, contract).as_json(),
        "projectLink": link_json(link),
    }
    return Content(contract.id if milestone is None else milestone.id, contract.job_id, data)


def link_content(link: Link) -> Content:
    return Content(link.id, link.job_id, {"projectLink": link_json(link)})


def revoked_content(install: Install, reason: str) -> Content:
    """``install.revoked``: the shape of its data isn't documented."""
    revoked_at = install.revoked_at
    data: Json = {
        "install": {
            "id": install.id,
            "status": install.status,
            "revokedAt": None if revoked_at is None else iso(revoked_at),
            "reason": reason,
        }
    }
    return Content(install.id, None, data)
