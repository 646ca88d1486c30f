"""Contracts of the linked jobs, their participants, budgets and usage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django_opentrain.sandbox import usage
from django_opentrain.sandbox.api.routing import Call
from django_opentrain.sandbox.budget import budget_of
from django_opentrain.sandbox.errors import not_found
from django_opentrain.sandbox.lookup import find_owned
from django_opentrain.sandbox.models import Contract, Freelancer, Link
from django_opentrain.sandbox.payloads import Json, freelancer_json, listed_contract_json
from django_opentrain.sandbox.schema import Issue, issue, refuse
from django_opentrain.sandbox.store import Store

DEFAULT_LIMIT = 50


def list_contracts(call: Call) -> Json:
    link_id, status = call.query.get("projectLinkId"), call.query.get("status")
    links = call.store.owned(Link, call.install.id)
    chosen = links
    if link_id is not None:
        chosen = [find_owned(call.store, Link, link_id, call.install.id)]
    jobs = {link.job_id for link in chosen}
    newest_first = reversed(call.store.all(Contract))
    listed = [each for each in newest_first if each.job_id in jobs and status in {None, each.status}]
    limit = call.query.get("limit", DEFAULT_LIMIT)
    return {"contracts": [listed_contract_json(each, links) for each in listed[:limit]]}


def list_participants(call: Call) -> Json:
    contract = _contract(call)
    now = call.store.clock.now()
    trainers = (call.store.get(Freelancer, each) for each in contract.participant_ids)
    return {
        "contractId": contract.id,
        "participants": [freelancer_json(each, call.install, now) for each in trainers if each],
    }


def get_budget(call: Call) -> Json:
    return budget_of(call.store, _contract(call)).shown()


def report_usage(call: Call) -> Json:
    """Replace the totals of each (worker, day) named; all entries are good, or none is taken."""
    contract = _contract(call)
    entries = call.body["entries"]
    refuse(list(_entry_issues(call.store, contract, entries)))
    usage.require_trainer(contract)
    for entry in entries:
        usage.replace(call.store, contract, entry)
    budget = usage.spend(call.store, contract)
    return {"contractId": contract.id, "accepted": len(entries), "budget": budget.shown()}


def _entry_issues(store: Store, contract: Contract, entries: list[dict[str, Any]]) -> Iterator[Issue]:
    """What isn't to be seen from the form of an entry."""
    today, most = store.clock.today(), int(store.readings.day_seconds)
    days = set()
    for index, entry in enumerate(entries):
        worker_id = entry.get("workerOpentrainUserId", contract.freelancer_id)
        if entry["workDate"] > today:
            yield issue(("entries", index, "workDate"), "Must not be in the future")
        if (worker_id, entry["workDate"]) in days:
            yield issue(("entries", index, "workDate"), "Only one entry for each worker and day")
        if entry.get("totalSeconds", 0) > most:
            yield issue(("entries", index, "totalSeconds"), f"Must be 0 to {most}")
        if "workerOpentrainUserId" in entry and worker_id not in contract.participant_ids:
            yield issue(("entries", index, "workerOpentrainUserId"), "Must be a participant of the contract")
        days.add((worker_id, entry["workDate"]))


def _contract(call: Call) -> Contract:
    """The contract in the path: one whose job this install has linked."""
    contract = call.store.get(Contract, call.ids[0])
    linked = {link.job_id for link in call.store.owned(Link, call.install.id)}
    if contract is None or contract.job_id not in linked:
        raise not_found("Contract not found")
    return contract
