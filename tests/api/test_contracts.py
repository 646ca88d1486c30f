"""Contracts, access and usage, as a front end sees them."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, TrainerAccount
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.services import usage
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.api.conftest import url
from tests.played import a_customer
from tests.web.adapter import NamesAdapter


def test_a_hire_and_its_budget(boss: APIClient, opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    link = opentrain.link("acme-1")
    hire = opentrain.hire("Maria S.")
    opentrain.run()
    opentrain.fund(hire, hours=10)
    opentrain.run()
    [shown] = boss.get(url("contract-list")).json()["results"]
    assert (shown["opentrainId"], shown["status"], shown["projectLinkIds"]) == (hire.id, "active", [link.pk])
    assert shown["trainer"]["opentrainUserId"] == hire.opentrain_user_id
    assert shown["budget"]["fundedVolume"] == 10
    assert shown["budget"]["activeMilestone"]["status"] == "ACTIVE_FUNDED"
    pk = shown["id"]
    assert boss.get(url("contract-detail", pk)).json() == shown
    assert boss.get(url("contract-budget", pk)).json() == shown["budget"]
    people = boss.get(url("contract-participants", pk)).json()
    assert people == {"contractId": hire.id, "participants": [shown["trainer"]]}


@pytest.fixture
def contract(install: Install) -> Contract:
    """Under a link, with a trainer who waits for access."""
    link, person = factories.make_link(install), factories.make_participant(install)
    contract = factories.make_contract(install, [link], trainer=person, budget_state="LOW")
    factories.make_grant(
        contract,
        link,
        person,
        state=AccessGrant.State.FAILED,
        last_error="no",
        last_error_code="CONFLICT",
        attempts=3,
    )
    return contract


def test_a_contracts_own_people_alone_are_shown(
    boss: APIClient, contract: Contract, install: Install
) -> None:
    """The hired trainer before there is any access, too."""
    helper, link = factories.make_participant(install), contract.links.get()
    contract.grants.all().delete()
    factories.make_grant(contract, link, helper)
    other = factories.make_contract(install, [link], trainer=factories.make_participant(install))
    factories.make_grant(other, link, factories.make_participant(install))
    factories.make_participant(factories.make_install("globex"))
    assert contract.trainer is not None
    people = boss.get(url("contract-participants", contract.pk)).json()["participants"]
    assert [each["opentrainUserId"] for each in people] == [
        contract.trainer.opentrain_user_id,
        helper.opentrain_user_id,
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "active"),
        ("budgetState", "LOW"),
        ("installId", "{0.install_id}"),
        ("jobId", "{0.job_id}"),
        ("projectLinkId", "{1.pk}"),
        ("externalProjectId", "{1.external_project_id}"),
    ],
)
def test_filters(name: str, value: str, boss: APIClient, contract: Contract) -> None:
    other = factories.make_install("acme")
    factories.make_contract(other, [factories.make_link(other)], status="ended")
    given = {name: value.format(contract, contract.links.get())}
    listed = boss.get(url("contract-list"), given).json()["results"]
    assert [row["id"] for row in listed] == [contract.pk]


def test_a_failing_access_is_tried_again(boss: APIClient, contract: Contract) -> None:
    [grant] = boss.get(url("contract-detail", contract.pk)).json()["grants"]
    assert (grant["state"], grant["lastError"]) == ("FAILED", "no")
    person = factories.make_participant(contract.install)
    other = factories.make_grant(contract, contract.links.get(), person, state=AccessGrant.State.FAILED)
    AccessGrant.objects.update(next_attempt_at="2030-01-01T00:00:00Z")
    shown = boss.post(url("grant-retry", grant["id"]))
    assert (shown.status_code, shown.json()["nextAttemptAt"]) == (202, None)
    other.refresh_from_db()
    assert other.next_attempt_at is not None


def test_who_was_removed_by_hand_is_given_access_again(boss: APIClient, contract: Contract) -> None:
    AccessGrant.objects.update(state="REMOVED_BY_HAND", revoked_at="2026-01-01T00:00:00Z")
    [grant] = boss.get(url("contract-detail", contract.pk)).json()["grants"]
    assert (grant["desired"], grant["state"]) == ("GRANTED", "REMOVED_BY_HAND")
    assert boss.get(url("install-detail", contract.install_id)).json()["counts"]["unsettledGrants"] == 0
    shown = boss.post(url("grant-give-again", grant["id"]))
    assert (shown.status_code, shown.json()["state"]) == (202, "PENDING")


def test_an_account_that_was_there_is_used(boss: APIClient, contract: Contract, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.web.adapter.AccountsAdapter"}
    AccessGrant.objects.update(last_error="There is one.", last_error_code="ACCOUNT_EXISTS")
    [grant] = boss.get(url("contract-detail", contract.pk)).json()["grants"]
    assert grant["lastErrorCode"] == "ACCOUNT_EXISTS"
    email = str(AccessGrant.objects.get().participant.work_email)
    known = factories.make_user("globex-maria", email=email)
    refused = boss.post(url("grant-use-account", grant["id"]))
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    type(known).objects.filter(pk=known.pk).update(username="acme-maria")
    assert boss.post(url("grant-use-account", grant["id"])).status_code == 202
    assert TrainerAccount.objects.get(user=known).bound_for == "acme"


@pytest.mark.parametrize(
    ("sends", "state", "mail", "status"),
    [
        (True, "GRANTED", True, 200),
        (True, "GRANTED", False, 409),
        (True, "GRANTED", None, 409),
        (True, "PENDING", True, 409),
        (False, "GRANTED", True, 409),
    ],
)
def test_the_login_link_is_sent_again(
    sends: bool,
    state: str,
    mail: bool | None,
    status: int,
    boss: APIClient,
    contract: Contract,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(NamesAdapter, "sends_first_login", sends)
    monkeypatch.setattr(NamesAdapter, "mail", mail)
    AccessGrant.objects.update(state=state)
    response = boss.post(url("grant-invite", contract.grants.get().pk))
    assert response.status_code == status
    code = "MAIL_REFUSED" if mail is False else "CONFLICT"
    assert response.json().get("code") == (None if status == 200 else code)


def test_a_grant_says_how_far_the_first_login_is(boss: APIClient, contract: Contract) -> None:
    AccessGrant.objects.update(state="GRANTED")
    assert boss.get(url("contract-detail", contract.pk)).json()["grants"][0]["firstLogin"] is None
    factories.make_trainer_account(
        factories.make_user("maria"),
        opentrain_user_id=contract.grants.get().participant.opentrain_user_id,
        invitation="FAILED",
        invitation_attempts=3,
        invitation_sent_at=datetime(2026, 11, 2, tzinfo=timezone.utc),
        invitation_error="at db1",
        invitation_error_code="INTERNAL_ERROR",
    )
    (grant,) = boss.get(url("contract-detail", contract.pk)).json()["grants"]
    error = grant["firstLogin"].pop("error")
    assert "db1" not in error
    assert grant["firstLogin"] == {
        "state": "FAILED",
        "attempts": 3,
        "sentAt": "2026-11-02T00:00:00Z",
        "expiresAt": "2026-11-05T00:00:00Z",
        "nextAttemptAt": None,
    }
    assert boss.post(url("grant-retry", grant["id"])).json()["firstLogin"]["state"] == "FAILED"


# Usage ----------------------------------------------------------------------------------------


def report(boss: APIClient, contract: Contract, *entries: dict[str, Any]) -> Any:
    body = json.dumps({"entries": list(entries)})
    return boss.post(url("contract-usage", contract.pk), body, content_type="application/json")


def test_usage_is_written_and_read(boss: APIClient, contract: Contract) -> None:
    first = {"workDate": "2026-11-02", "totalSeconds": 3600, "externalReportId": "r1"}
    second = {"workDate": "2026-11-03", "tasksCompleted": 4, "labelsCompleted": 9}
    response = report(boss, contract, first, second)
    assert response.status_code == 202
    assert response.json() == {"contractId": contract.opentrain_id, "accepted": 2, "due": 2}
    response = report(boss, contract, {"workDate": "2026-11-02", "totalSeconds": 1800})
    assert response.json()["due"] == 2
    entries = boss.get(url("contract-usage", contract.pk)).json()["entries"]
    assert [entry["workDate"] for entry in entries] == ["2026-11-03", "2026-11-02"]
    assert (entries[1]["totalSeconds"], entries[1]["externalReportId"]) == (1800, "r1")
    assert (entries[0]["totalSeconds"], entries[0]["labelsCompleted"]) == (None, 9)


def test_each_persons_work_under_this_contract_is_theirs(
    boss: APIClient, contract: Contract, install: Install
) -> None:
    helper = factories.make_participant(install)
    factories.make_grant(contract, contract.links.get(), helper)
    factories.make_usage(factories.make_contract(install))
    factories.make_usage(contract, status=DailyUsage.Status.REPORTED)
    day = {"workDate": "2026-11-02", "totalSeconds": 60}
    theirs = {**day, "workerOpentrainUserId": helper.opentrain_user_id}
    assert report(boss, contract, theirs, day).json()["due"] == 2
    entries = boss.get(url("contract-usage", contract.pk)).json()["entries"]
    assert len(entries) == 3
    assert {each["workerOpentrainUserId"] for each in entries} == {helper.opentrain_user_id, None}


def test_a_contract_counts_what_opentrain_lacks(boss: APIClient, contract: Contract) -> None:
    for status in ("DUE", "DUE", "REFUSED", "REPORTED"):
        factories.make_usage(contract, status=status)
    factories.make_usage(factories.make_contract(contract.install))
    shown = boss.get(url("contract-detail", contract.pk)).json()
    assert (shown["usageDue"], shown["usageRefused"]) == (2, 1)


def test_the_trainers_id_means_the_trainer(boss: APIClient, contract: Contract) -> None:
    assert contract.trainer is not None
    worker = contract.trainer.opentrain_user_id
    entry = {"workDate": "2026-11-02", "totalSeconds": 1, "workerOpentrainUserId": worker}
    assert report(boss, contract, entry, {"workDate": "2026-11-02", "totalSeconds": 2}).json()["due"] == 1
    [shown] = boss.get(url("contract-usage", contract.pk)).json()["entries"]
    assert (shown["workerOpentrainUserId"], shown["totalSeconds"]) == (None, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workDate": "tomorrow"},
        {"workDate": "2026-1-2"},
        {"workDate": "20260102"},
        {"workDate": (date(2026, 1, 1) + timedelta(days=40_000)).isoformat()},
        {"workDate": None},
        {"totalSeconds": 86_401},
        {"totalSeconds": -1},
        {"totalSeconds": 1.0},
        {"totalSeconds": True},
        {"totalSeconds": "1"},
        {"totalSeconds": None},
        {"tasksCompleted": 2**31},
        {"labelsCompleted": -1},
        {"workerOpentrainUserId": "usr_of_nobody"},
        {"workerOpentrainUserId": ""},
        {"externalReportId": "x" * 201},
        {"externalReportId": 5},
        {"externalReportId": "\x00"},
        {"externalReportId": "\ud800"},
        {"hours": 3},
        {"": 3},
    ],
    ids=str,
)
def test_one_wrong_entry_refuses_them_all(wrong: dict[str, Any], boss: APIClient, contract: Contract) -> None:
    good = {"workDate": "2026-11-02", "totalSeconds": 60}
    response = report(boss, contract, good, {**good, **wrong})
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")
    [name] = wrong
    assert list(response.json()["details"]) == [f"entries[1].{name}"]
    assert not DailyUsage.objects.exists()


@pytest.mark.parametrize("entries", [[], [{"workDate": "2026-11-02"}] * 101, {}, "x", None])
def test_one_to_a_hundred_entries(entries: Any, boss: APIClient, contract: Contract) -> None:
    response = boss.post(url("contract-usage", contract.pk), {"entries": entries}, format="json")
    assert (response.status_code, list(response.json()["details"])) == (400, ["entries"])


def test_a_failure_half_way_writes_nothing(
    boss: APIClient, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = usage.write

    def fail_later(*args: Any, **values: Any) -> DailyUsage:
        if DailyUsage.objects.exists():
            raise RuntimeError("the database went away")
        return write(*args, **values)

    monkeypatch.setattr(usage, "write", fail_later)
    boss.raise_request_exception = False
    response = report(boss, contract, {"workDate": "2026-11-02"}, {"workDate": "2026-11-03"})
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL_ERROR")
    assert not DailyUsage.objects.exists()


def test_days_are_written_in_the_same_order_whatever_the_requests(
    boss: APIClient, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests that lock the same rows in another order are a deadlock."""
    write, written = usage.write, []

    def watched(contract: Contract, entry: UsageEntry) -> DailyUsage:
        written.append(entry.work_date)
        return write(contract, entry)

    monkeypatch.setattr(usage, "write", watched)
    for days in ((1, 3, 2), (3, 2, 1)):
        entries = [{"workDate": f"2026-03-0{day}", "totalSeconds": 60} for day in days]
        assert (
            boss.post(url("contract-usage", contract.pk), {"entries": entries}, format="json").status_code
            == 202
        )
    assert written == [date(2026, 3, day) for day in (1, 2, 3)] * 2


def test_usage_reaches_opentrain(boss: APIClient, opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    opentrain.link("acme-1")
    hire = opentrain.hire()
    opentrain.run()
    day = opentrain.today.isoformat()
    assert report(boss, hire.contract, {"workDate": day, "totalSeconds": 7200}).status_code == 202
    opentrain.run()
    [entry] = boss.get(url("contract-usage", hire.contract.pk), {"status": "REPORTED"}).json()["entries"]
    assert (entry["totalSeconds"], entry["error"]) == (7200, None)
    assert entry["reportedAt"]


def test_days_by_date(boss: APIClient, contract: Contract) -> None:
    for day in range(1, 6):
        factories.make_usage(contract, date(2026, 3, day))
    given: dict[str, Any] = {"since": "2026-03-02", "until": "2026-03-04", "limit": 2}
    first = boss.get(url("contract-usage", contract.pk), given).json()
    assert [entry["workDate"] for entry in first["entries"]] == ["2026-03-04", "2026-03-03"]
    rest = boss.get(url("contract-usage", contract.pk), {**given, "cursor": first["nextCursor"]}).json()
    assert ([entry["workDate"] for entry in rest["entries"]], rest["nextCursor"]) == (["2026-03-02"], None)
    first = boss.get(url("contract-usage", contract.pk), {**given, "ordering": "workDate"}).json()
    assert [entry["workDate"] for entry in first["entries"]] == ["2026-03-02", "2026-03-03"]


def test_a_budget_is_told_in_numbers(boss: APIClient, contract: Contract) -> None:
    Contract.objects.update(consumed_fraction=Decimal("0.8125"), funded_volume=Decimal(10))
    budget = boss.get(url("contract-budget", contract.pk)).json()
    assert (budget["consumedFraction"], budget["fundedVolume"], budget["state"]) == (0.8125, 10.0, "LOW")
