"""Events: what happened, for which install, in which JSON, and the deliveries that it starts.

An event belongs to one install and goes to each of that install's active endpoints that
subscribed to its type. No body says which install it is for. Ids rise by one.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from django_opentrain.platform import catalog
from django_opentrain.sandbox.budget import budget_of
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
from django_opentrain.sandbox.payloads import (
    CONTRACT,
    MILESTONE,
    Json,
    as_json,
    freelancer_json,
    link_json,
    without_nulls,
)
from django_opentrain.sandbox.store import Store

#: What the documentation names in the data of contract events, beside the project link.
DOCUMENTED = {"status", "endDate", "workEmail"}
#: The digits of a ULID.
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


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
    event_id = _event_id(store.readings.event_ids, sequence, now)
    body: Json = {
        "id": event_id,
        "type": event_type,
        "apiVersion": catalog.API_VERSION,
        "createdAt": iso(now),
        "resourceId": content.resource_id,
        "jobId": content.job_id,
        "data": content.data,
    }
    if store.readings.empty_fields == "absent":
        body = without_nulls(body)
    event = Event(
        id=event_id,
        sequence=sequence,
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


def _event_id(style: str, sequence: int, now: float) -> str:
    """Ids that sort as they are issued, in one of the styles of :mod:`.readings`."""
    if style == "ulid":
        number = (int(now * 1000) << 80) + sequence
        return "".join(CROCKFORD[number >> 5 * place & 31] for place in reversed(range(26)))
    return f"evt_{sequence}" if style == "prefixed" else str(sequence)


def json_text(value: object) -> str:
    """JSON as JavaScript writes it: compact, with non-ASCII characters as they are."""
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
    data = {"contract": as_json(contract, CONTRACT)}
    freelancer = store.get(Freelancer, contract.freelancer_id)
    if freelancer is not None:
        data["freelancer"] = freelancer_json(freelancer, install, store.clock.now())
    if store.readings.contract_events == "documented":
        data = {
            name: {key: value for key, value in fields.items() if key in DOCUMENTED}
            for name, fields in data.items()
        }
    data["projectLink"] = link_json(link)
    return Content(contract.id, contract.job_id, {**data})


def milestone_content(store: Store, contract: Contract, milestone: Milestone | None, link: Link) -> Content:
    data: Json = {
        "contractId": contract.id,
        "contract": as_json(contract, CONTRACT),
        "milestone": None if milestone is None else as_json(milestone, MILESTONE),
        "budget": budget_of(store, contract).shown(),
        "projectLink": link_json(link),
    }
    named = store.readings.milestone_events
    if named != "all":
        del data["projectLink"], data["contract" if named == "contract-id" else "contractId"]
    return Content(contract.id if milestone is None else milestone.id, contract.job_id, data)


def link_content(link: Link) -> Content:
    return Content(link.id, link.job_id, {"projectLink": link_json(link)})


def revoked_content(store: Store, install: Install, reason: str) -> Content:
    snapshot = {**as_json(install, ("id", "status", "revoked_at")), "reason": reason}
    data: dict[str, Json] = {"install": {"install": snapshot}, "id": {"installId": install.id}, "empty": {}}
    return Content(install.id, None, data[store.readings.revoked_events])
