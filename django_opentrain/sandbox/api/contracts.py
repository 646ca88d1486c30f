"""Contracts of the linked jobs, their participants, budgets and usage."""

from __future__ import annotations

from django_opentrain.platform.catalog import (
    CONTRACT_ACTIVE,
    CONTRACT_HAS_ENDED,
    MAX_CONTRACTS_PER_PAGE,
    MAX_USAGE_ENTRIES,
    SECONDS_PER_DAY,
)
from django_opentrain.sandbox.api.routing import Call
from django_opentrain.sandbox.budget import budget_of, crossed
from django_opentrain.sandbox.errors import conflict, not_found
from django_opentrain.sandbox.events import emit_milestone
from django_opentrain.sandbox.lookup import find_owned
from django_opentrain.sandbox.models import Contract, Freelancer, Link, Usage
from django_opentrain.sandbox.payloads import Json, freelancer_json, listed_contract_json
from django_opentrain.sandbox.validation import Fields, query_integer

DEFAULT_LIMIT = 50


def list_contracts(call: Call) -> Json:
    link_id = call.query.text("projectLinkId")
    status = call.query.text("status", choices=(CONTRACT_ACTIVE, CONTRACT_HAS_ENDED))
    limit = query_integer(
        call.query, "limit", default=DEFAULT_LIMIT, minimum=1, maximum=MAX_CONTRACTS_PER_PAGE
    )
    call.query.finish()
    links = call.store.owned(Link, call.install.id)
    chosen = links
    if link_id is not None:
        chosen = [find_owned(call.store, Link, link_id, call.install.id)]
    jobs = {link.job_id for link in chosen}
    newest_first = reversed(call.store.all(Contract))
    found = [c for c in newest_first if c.job_id in jobs and status in {None, c.status}]
    return {"contracts": [listed_contract_json(each, links) for each in found[:limit]]}


def list_participants(call: Call) -> Json:
    call.query.finish()
    contract = _contract(call)
    now = call.store.clock.now()
    people = (call.store.get(Freelancer, each) for each in contract.participant_ids)
    return {
        "contractId": contract.id,
        "participants": [freelancer_json(each, call.install, now) for each in people if each],
    }


def get_budget(call: Call) -> Json:
    call.query.finish()
    return budget_of(call.store, _contract(call)).as_json()


def report_usage(call: Call) -> Json:
    """Replace the totals of each (worker, day) named; all entries are good, or none is taken."""
    call.query.finish()
    contract = _contract(call)
    entries = call.body.objects("entries", maximum=MAX_USAGE_ENTRIES)
    today = call.store.clock.today()
    reports = [_Entry(entry, contract, today) for entry in entries]
    call.body.finish()
    if contract.freelancer_id is None:
        raise conflict("Nobody is hired on this contract")
    before = budget_of(call.store, contract)
    for report in reports:
        report.apply(call, contract)
    contract.last_usage_at = call.store.clock.now()
    call.store.put(contract)
    after = budget_of(call.store, contract)
    for event_type in crossed(before, after):
        emit_milestone(call.store, contract, event_type, after.active_milestone)
    return {"contractId": contract.id, "accepted": len(reports), "budget": after.as_json()}


class _Entry:
    """One entry of a report, read and checked; a figure that was left out is None."""

    def __init__(self, entry: Fields, contract: Contract, today: str) -> None:
        self.work_date = entry.day("workDate")
        if self.work_date is not None and self.work_date > today:
            entry.wrong("workDate", "Must not be in the future")
        self.total_seconds = entry.integer("totalSeconds", maximum=SECONDS_PER_DAY)
        self.tasks_completed = entry.integer("tasksCompleted")
        self.labels_completed = entry.integer("labelsCompleted")
        self.external_report_id = entry.text("externalReportId")
        self.worker_id = entry.text("workerOpentrainUserId") or contract.freelancer_id
        if entry.has("workerOpentrainUserId") and self.worker_id not in contract.participant_ids:
            entry.wrong("workerOpentrainUserId", "Must be a participant of the contract")
        entry.refuse_unknown()

    def apply(self, call: Call, contract: Contract) -> None:
        key = f"{contract.id}/{self.worker_id}/{self.work_date}"
        usage = call.store.get(Usage, key) or Usage(
            id=key,
            contract_id=contract.id,
            worker_id=str(self.worker_id),
            work_date=str(self.work_date),
        )
        for name in ("total_seconds", "tasks_completed", "labels_completed", "external_report_id"):
            value = getattr(self, name)
            if value is not None:
                setattr(usage, name, value)
        call.store.put(usage)


def _contract(call: Call) -> Contract:
    """The contract in the path: one whose job this install has linked."""
    contract = call.store.get(Contract, call.ids[0])
    linked = {link.job_id for link in call.store.owned(Link, call.install.id)}
    if contract is None or contract.job_id not in linked:
        raise not_found("Contract not found")
    return contract
