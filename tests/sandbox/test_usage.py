"""Usage reports, budgets and their thresholds."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from django_opentrain.sandbox import ApiError, Sandbox
from django_opentrain.sandbox.models import Contract, Job, Milestone, Usage
from tests.sandbox.conftest import Answer, Api, Receiver

BUDGET_EVENTS = ("milestone.funded", "milestone.budget_low", "milestone.budget_depleted")


@pytest.fixture
def contract(api: Api, sandbox: Sandbox, job: Job) -> Contract:
    """An active contract, paid by the hour, on a linked job."""
    api.link("1", job)
    return sandbox.hire("Maria S.", job_id=job.id).contract


def report(api: Api, contract: Contract, *entries: dict[str, Any]) -> Answer:
    return api.post(f"/contracts/{contract.id}/usage", {"entries": list(entries)})


def seconds(api: Api, contract: Contract, total: int) -> Answer:
    """Report so many seconds in all, spread over as many past days as it takes."""
    today = date.fromisoformat(api.sandbox.clock.today())
    days = []
    for ago in itertools.count():
        part = min(total, 86_400)
        days.append({"workDate": (today - timedelta(days=ago)).isoformat(), "totalSeconds": part})
        total -= part
        if not total:
            return report(api, contract, *days)
    raise AssertionError


def test_totals_replace_and_omitted_figures_stay(api: Api, sandbox: Sandbox, contract: Contract) -> None:
    today = sandbox.clock.today()
    first = report(
        api, contract, {"workDate": today, "totalSeconds": 3600, "tasksCompleted": 4, "labelsCompleted": 9}
    )
    assert first.body["accepted"] == 1
    assert first.body["budget"]["consumed"] == {"seconds": 3600, "hours": 1, "labels": 9, "tasks": 4}
    second = report(api, contract, {"workDate": today, "totalSeconds": 1800})
    assert second.body["budget"]["consumed"] == {"seconds": 1800, "hours": 0.5, "labels": 9, "tasks": 4}
    again = report(api, contract, {"workDate": today, "totalSeconds": 1800})
    assert again.body["budget"] == second.body["budget"]
    (kept,) = sandbox.store.all(Usage)
    assert (kept.total_seconds, kept.tasks_completed, kept.labels_completed) == (1800, 4, 9)


def test_workers_and_days_are_apart(api: Api, sandbox: Sandbox, contract: Contract) -> None:
    second = sandbox.add_participant(contract.id, "Second")
    today = sandbox.clock.today()
    yesterday = (date.fromisoformat(today) - timedelta(days=1)).isoformat()
    answer = report(
        api,
        contract,
        {"workDate": today, "totalSeconds": 60},
        {"workDate": today, "totalSeconds": 30, "workerOpentrainUserId": second.opentrain_user_id},
        {"workDate": yesterday, "totalSeconds": 7, "externalReportId": "r" * 300},
    )
    assert answer.body["accepted"] == 3
    assert answer.body["budget"]["consumed"]["seconds"] == 97
    same = {"workDate": yesterday, "workerOpentrainUserId": contract.freelancer_id, "totalSeconds": 8}
    assert report(api, contract, same).body["budget"]["consumed"]["seconds"] == 98
    assert {each.external_report_id for each in sandbox.store.all(Usage)} == {None, "r" * 300}


def test_reports_after_the_end_are_taken(api: Api, sandbox: Sandbox, contract: Contract) -> None:
    sandbox.end(contract.id)
    assert report(api, contract, {"workDate": sandbox.clock.today(), "tasksCompleted": 1}).status == 200


@pytest.mark.parametrize(
    ("entry", "key", "says"),
    [
        ({"workDate": "2026-1-1"}, "workDate", "YYYY-MM-DD"),
        ({"workDate": "2026-02-30"}, "workDate", "YYYY-MM-DD"),
        ({"workDate": "\uff12\uff10\uff12\uff16-01-01"}, "workDate", "YYYY-MM-DD"),
        ({"workDate": "2026-01-01T00:00:00Z"}, "workDate", "YYYY-MM-DD"),
        ({"workDate": 20260101}, "workDate", "string"),
        ({"workDate": "9999-12-31"}, "workDate", "future"),
        ({"totalSeconds": 86_401}, "totalSeconds", "86400"),
        ({"totalSeconds": -1}, "totalSeconds", "Must be 0 "),
        ({"totalSeconds": 1.5}, "totalSeconds", "integer"),
        ({"totalSeconds": True}, "totalSeconds", "integer"),
        ({"totalSeconds": "60"}, "totalSeconds", "integer"),
        ({"totalSeconds": None}, "totalSeconds", "null"),
        ({"tasksCompleted": -1}, "tasksCompleted", "Must be 0 "),
        ({"labelsCompleted": 2**31}, "labelsCompleted", "Must be 0 "),
        ({"workerOpentrainUserId": "usr_stranger"}, "workerOpentrainUserId", "participant"),
        ({"workerOpentrainUserId": ""}, "workerOpentrainUserId", "participant"),
        ({"workerOpentrainUserId": "x" * 300}, "workerOpentrainUserId", "participant"),
        ({"externalReportId": 7}, "externalReportId", "string"),
        ({}, "workDate", "one entry"),
        ({"seconds": 5}, "seconds", "Unknown"),
    ],
)
def test_one_bad_entry_refuses_the_whole_report(
    api: Api, sandbox: Sandbox, contract: Contract, entry: dict[str, Any], key: str, says: str
) -> None:
    today = sandbox.clock.today()
    answer = report(api, contract, {"workDate": today, "totalSeconds": 60}, {"workDate": today, **entry})
    assert answer.code == "BAD_REQUEST"
    assert says in answer.issues[f"entries.1.{key}"]
    assert all(path.startswith("entries.1") for path in answer.issues)
    assert sandbox.store.all(Usage) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"entries": []},
        {"entries": {}},
        {"entries": ["x"]},
        {"entries": [{}]},
        {"entries": [{"workDate": "2026-01-01"}] * 101},
        {"entries": [{"workDate": "2026-01-01"}], "contractId": "x"},
    ],
)
def test_bad_reports(api: Api, contract: Contract, body: dict[str, Any]) -> None:
    assert api.post(f"/contracts/{contract.id}/usage", body).code == "BAD_REQUEST"


def test_a_hundred_entries_and_a_full_day_are_taken(api: Api, contract: Contract) -> None:
    answer = seconds(api, contract, 100 * 86_400)
    assert answer.body["accepted"] == 100
    assert answer.body["budget"]["consumed"]["hours"] == 2400


def test_tomorrow_is_the_future_in_utc(api: Api, sandbox: Sandbox, contract: Contract) -> None:
    tomorrow = (date.fromisoformat(sandbox.clock.today()) + timedelta(days=1)).isoformat()
    assert report(api, contract, {"workDate": tomorrow}).status == 400
    sandbox.advance(86_400)
    assert report(api, contract, {"workDate": tomorrow}).status == 200


def test_no_hired_trainer_is_409(api: Api, sandbox: Sandbox, contract: Contract, job: Job) -> None:
    del contract
    vacant, _ = sandbox.hire(hired=False, job_id=job.id)
    assert report(api, vacant, {"workDate": sandbox.clock.today()}).code == "CONFLICT"


def test_unfunded_is_always_ok(api: Api, contract: Contract) -> None:
    budget = seconds(api, contract, 500_000).body["budget"]
    assert budget["state"] == "OK"
    assert budget["fundedVolume"] == budget["consumedFraction"] == budget["remainingVolume"] == 0
    assert budget["activeMilestone"] is None


@pytest.mark.parametrize(
    ("reported", "state", "fraction"),
    [
        (0, "OK", 0),
        (28_799, "OK", 0.7999),
        (28_800, "LOW", 0.8),
        (35_999, "LOW", 0.9999),
        (36_000, "DEPLETED", 1),
        (45_000, "DEPLETED", 1.25),
    ],
)
def test_states(
    api: Api, sandbox: Sandbox, contract: Contract, reported: int, state: str, fraction: float
) -> None:
    milestone, _ = sandbox.fund(contract.id, 250, 10)
    answer = seconds(api, contract, reported)
    budget = api.get(f"/contracts/{contract.id}/budget").body
    assert budget == answer.body["budget"]
    assert (budget["state"], budget["consumedFraction"]) == (state, fraction)
    assert budget["fundedVolume"] == 10
    assert budget["fundedAmountUsd"] == 250
    assert budget["activeMilestone"]["id"] == milestone.id
    assert budget["activeMilestone"]["status"] == "ACTIVE_FUNDED"
    assert budget["lastUsageAt"] is not None


def test_labels_are_the_volume_of_pay_per_label(api: Api, sandbox: Sandbox) -> None:
    job = sandbox.create_job("Boxes", payment_type="PAY_PER_LABEL")
    api.link("2", job)
    contract, _ = sandbox.hire("T", job_id=job.id)
    sandbox.fund(contract.id, 10, 200)
    entry = {"workDate": sandbox.clock.today(), "labelsCompleted": 170, "totalSeconds": 80_000}
    budget = report(api, contract, entry).body["budget"]
    assert (budget["consumedVolume"], budget["remainingVolume"], budget["state"]) == (170, 30, "LOW")


def test_fixed_price_is_always_ok(api: Api, sandbox: Sandbox) -> None:
    job = sandbox.create_job("Fixed", payment_type="FIXED_PRICE")
    api.link("2", job)
    contract, _ = sandbox.hire("T", job_id=job.id)
    sandbox.fund(contract.id, 500)
    budget = seconds(api, contract, 80_000).body["budget"]
    assert (budget["state"], budget["consumedFraction"], budget["fundedAmountUsd"]) == ("OK", 0, 500)
    assert budget["activeMilestone"]["volume"] is None


def test_measured_work_needs_a_volume(sandbox: Sandbox, contract: Contract) -> None:
    with pytest.raises(ApiError, match="volume"):
        sandbox.fund(contract.id, 100)


def test_a_new_milestone_completes_the_one_before(api: Api, sandbox: Sandbox, contract: Contract) -> None:
    sandbox.fund(contract.id, 100, Decimal("2.5"))
    second, _ = sandbox.fund(contract.id, 60, 1.5, name="Second")
    budget = api.get(f"/contracts/{contract.id}/budget").body
    assert [each.status for each in sandbox.store.all(Milestone)] == ["COMPLETED", "ACTIVE_FUNDED"]
    assert (budget["fundedVolume"], budget["fundedAmountUsd"]) == (4, 160)
    assert budget["activeMilestone"] == {
        "id": second.id,
        "name": "Second",
        "amountUsd": 60,
        "volume": 1.5,
        "status": "ACTIVE_FUNDED",
    }


def test_thresholds_fire_on_the_way_up_and_again_after_funding(
    api: Api, sandbox: Sandbox, contract: Contract, receiver: Receiver
) -> None:
    api.subscribe(*BUDGET_EVENTS)
    low, depleted = "milestone.budget_low", "milestone.budget_depleted"

    def delivered() -> list[str]:
        receiver.got.clear()
        sandbox.deliver_due()
        return receiver.types

    milestone, _ = sandbox.fund(contract.id, 100, 10)
    assert delivered() == ["milestone.funded"]
    assert receiver.got[0].event["resourceId"] == milestone.id
    seconds(api, contract, 28_000)
    assert delivered() == []
    seconds(api, contract, 29_000)
    assert delivered() == [low]
    event = receiver.got[0].event
    assert event["resourceId"] == milestone.id
    assert event["data"]["contractId"] == event["data"]["contract"]["id"] == contract.id
    assert event["data"]["milestone"]["id"] == milestone.id
    assert event["data"]["budget"]["state"] == "LOW"
    assert event["data"]["projectLink"]["jobId"] == contract.job_id
    seconds(api, contract, 29_500)
    assert delivered() == []
    seconds(api, contract, 36_000)
    assert delivered() == [depleted]
    sandbox.fund(contract.id, 100, 10)
    assert delivered() == ["milestone.funded"]
    seconds(api, contract, 72_000)
    assert delivered() == [low, depleted]
    api.get(f"/contracts/{contract.id}/budget")
    assert delivered() == []


def test_a_corrected_report_warns_no_second_time(
    api: Api, sandbox: Sandbox, contract: Contract, receiver: Receiver
) -> None:
    sandbox.fund(contract.id, 100, 10)
    api.subscribe("milestone.budget_low")
    for total in (29_000, 10_000, 29_000):
        seconds(api, contract, total)
    sandbox.deliver_due()
    assert receiver.types == ["milestone.budget_low"]
    seconds(api, contract, 10_000)
    sandbox.fund(contract.id, 100, 1)
    seconds(api, contract, 35_000)
    sandbox.deliver_due()
    assert receiver.types == ["milestone.budget_low"] * 2


def test_tracked_work_is_added_beside_what_the_site_reports(
    api: Api, sandbox: Sandbox, contract: Contract
) -> None:
    sandbox.fund(contract.id, 100, 10)
    sandbox.work(contract.id, hours=1.5, tasks=3)
    usage, budget = sandbox.work(contract.id, seconds=600, labels=7)
    assert (usage.total_seconds, usage.tasks_completed, usage.labels_completed) == (6000, 3, 7)
    assert usage.work_date == sandbox.clock.today()
    assert budget.seconds == 6000
    # The site's report has a day's totals of its own: it replaces those, and neither loses nor repeats the tracker's.
    for total in (3600, 1800):
        answer = report(api, contract, {"workDate": sandbox.clock.today(), "totalSeconds": total})
        assert answer.body["budget"]["consumed"] == {
            "seconds": 6000 + total,
            "hours": pytest.approx((6000 + total) / 3600, abs=1e-4),
            "labels": 7,
            "tasks": 3,
        }
    sandbox.advance(86_400)
    assert sandbox.work(contract.id, tasks=1).usage.tasks_completed == 1
    assert sandbox.budget(contract.id).tasks == 4
    assert contract.last_usage_at == sandbox.clock.now()


def test_tracked_work_crosses_thresholds(
    api: Api, sandbox: Sandbox, contract: Contract, receiver: Receiver
) -> None:
    sandbox.fund(contract.id, 100, 2)
    api.subscribe("milestone.budget_low", "milestone.budget_depleted")
    sandbox.work(contract.id, hours=1.5)
    sandbox.deliver_due()
    assert receiver.types == []
    sandbox.work(contract.id, hours=0.25)
    seconds(api, contract, 900)
    sandbox.deliver_due()
    assert receiver.types == ["milestone.budget_low", "milestone.budget_depleted"]


def test_work_that_can_not_have_been_done(sandbox: Sandbox, contract: Contract, job: Job) -> None:
    sandbox.work(contract.id, hours=23)
    with pytest.raises(ApiError, match="86400"):
        sandbox.work(contract.id, hours=1.5)
    with pytest.raises(ApiError, match="hours, seconds, tasks or labels"):
        sandbox.work(contract.id)
    vacant, _ = sandbox.hire(hired=False, job_id=job.id)
    with pytest.raises(ApiError, match="no hired trainer"):
        sandbox.work(vacant.id, hours=1)
    sandbox.end(contract.id)
    with pytest.raises(ApiError, match="has ended"):
        sandbox.work(contract.id, tasks=1)
    assert sandbox.budget(contract.id).seconds == 23 * 3600


def test_budget_events_for_each_link(
    api: Api, sandbox: Sandbox, contract: Contract, job: Job, receiver: Receiver
) -> None:
    api.link("2", job)
    api.subscribe(*BUDGET_EVENTS)
    sandbox.fund(contract.id, 100, 1)
    sandbox.deliver_due()
    projects = [each.event["data"]["projectLink"]["externalProjectId"] for each in receiver.got]
    assert projects == ["1", "2"]
