"""Work on a contract, day by day: what a platform reports, and what OpenTrain's own Time Tracker records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_opentrain.platform.catalog import CONTRACT_ACTIVE
from django_opentrain.sandbox.budget import Budget, budget_of, crossed
from django_opentrain.sandbox.errors import bad_request, conflict
from django_opentrain.sandbox.events import emit_milestone
from django_opentrain.sandbox.models import TIME_TRACKER, Contract, Usage
from django_opentrain.sandbox.store import Store

#: What an entry of a report is about, and where it is kept.
FIGURES = {
    "totalSeconds": "total_seconds",
    "tasksCompleted": "tasks_completed",
    "labelsCompleted": "labels_completed",
    "externalReportId": "external_report_id",
}


def replace(store: Store, contract: Contract, entry: Mapping[str, Any]) -> None:
    """Replace the totals of one worker's day; a figure that was left out stays."""
    worker_id = entry.get("workerOpentrainUserId", contract.freelancer_id)
    usage = _usage(store, contract, worker_id, entry["workDate"])
    for name, attribute in FIGURES.items():
        if name in entry:
            setattr(usage, attribute, entry[name])
    store.put(usage)


def track(store: Store, contract: Contract, seconds: int, tasks: int, labels: int) -> Usage:
    """Add to today's work in the Time Tracker's own row, which no later report of the platform replaces."""
    if not (seconds or tasks or labels):
        raise bad_request("Work is hours, seconds, tasks or labels")
    if contract.status != CONTRACT_ACTIVE:
        raise conflict("The contract has ended")
    require_trainer(contract)
    usage = _usage(store, contract, TIME_TRACKER, store.clock.today())
    most = int(store.readings.day_seconds)
    if usage.total_seconds + seconds > most:
        raise bad_request(f"A day has at most {most} seconds")
    usage.total_seconds += seconds
    usage.tasks_completed += tasks
    usage.labels_completed += labels
    store.put(usage)
    return usage


def spend(store: Store, contract: Contract) -> Budget:
    """The budget once work was kept; emits a warning for each threshold that it crossed."""
    budget = budget_of(store, contract)
    warnings = crossed(contract.highest_fraction, budget.fraction)
    contract.last_usage_at = store.clock.now()
    contract.highest_fraction = max(contract.highest_fraction, budget.fraction)
    store.put(contract)
    for event_type in warnings:
        emit_milestone(store, contract, event_type, budget.active_milestone)
    return budget


def require_trainer(contract: Contract) -> None:
    if contract.freelancer_id is None:
        raise conflict("The contract has no hired trainer")


def _usage(store: Store, contract: Contract, worker_id: str, work_date: str) -> Usage:
    """What is kept of a worker's day, or a new row for it."""
    key = f"{contract.id}/{worker_id}/{work_date}"
    kept = store.get(Usage, key)
    return kept or Usage(id=key, contract_id=contract.id, worker_id=worker_id, work_date=work_date)
