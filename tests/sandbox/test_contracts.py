"""Contracts, participants and Work Emails."""

from __future__ import annotations

import pytest
import requests

from django_opentrain.sandbox import ApiError, Sandbox
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.models import Job
from tests.sandbox.conftest import Api, Receiver


def test_contracts_of_linked_jobs_newest_first(api: Api, sandbox: Sandbox, job: Job) -> None:
    before, _ = sandbox.hire("Before", job_id=job.id)
    link_id, second = api.link("1", job), api.link("2", job)
    other_job = sandbox.create_job("Other")
    other_link = api.link("3", other_job)
    sandbox.hire("Not linked", job_id=sandbox.create_job("Unlinked").id)
    after, _ = sandbox.hire("After", job_id=job.id)
    other, _ = sandbox.hire("Other", job_id=other_job.id)
    sandbox.end(before.id)
    listed = api.get("/contracts").body["contracts"]
    assert [each["id"] for each in listed] == [other.id, after.id, before.id]
    assert [each["status"] for each in listed] == ["active", "active", "ended"]
    assert listed[1]["projectLinkIds"] == [link_id, second]
    assert listed[0]["projectLinkIds"] == [other_link]
    assert listed[1]["endDate"] is None
    assert listed[2]["endDate"] == listed[2]["startDate"] == iso(sandbox.clock.now())
    assert listed[2]["title"] == job.title


def test_one_that_started_earlier(api: Api, sandbox: Sandbox, job: Job, receiver: Receiver) -> None:
    api.link("1", job)
    api.subscribe("contract.started")
    contract, _ = sandbox.hire("Lea", job_id=job.id, days_ago=6)
    started = iso(sandbox.clock.now() - 6 * 86_400)
    (listed,) = api.get("/contracts").body["contracts"]
    assert (listed["startDate"], listed["createdAt"]) == (started, started)
    sandbox.deliver_due()
    assert receiver.got[0].event["data"]["contract"]["startDate"] == contract.start_date == started


def test_filters(api: Api, sandbox: Sandbox, job: Job) -> None:
    link_id = api.link("1", job)
    other_job = sandbox.create_job("Other")
    other_link = api.link("2", other_job)
    contracts = [sandbox.hire(f"T{n}", job_id=job.id).contract for n in range(3)]
    elsewhere = sandbox.hire("E", job_id=other_job.id).contract
    sandbox.end(contracts[0].id)

    def found(query: str) -> list[str]:
        return [each["id"] for each in api.get(f"/contracts?{query}").body["contracts"]]

    assert found(f"projectLinkId={other_link}") == [elsewhere.id]
    assert found(f"projectLinkId={link_id}&status=ended") == [contracts[0].id]
    assert found("status=active&limit=2") == [elsewhere.id, contracts[2].id]
    assert found("limit=200")[-1] == contracts[0].id


def test_fifty_by_default(api: Api, sandbox: Sandbox) -> None:
    api.link()
    for number in range(60):
        sandbox.hire(f"T{number}")
    assert len(api.get("/contracts").body["contracts"]) == 50
    assert len(api.get("/contracts?limit=60").body["contracts"]) == 60


def test_a_link_without_a_job_has_no_contracts(api: Api, sandbox: Sandbox, job: Job) -> None:
    link = api.post("/project-links", {"externalProjectId": "1"}).body["projectLink"]
    sandbox.hire("T", job_id=job.id)
    assert api.get(f"/contracts?projectLinkId={link['id']}").body == {"contracts": []}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=ENDED", 400),
        ("status=", 400),
        ("limit=0", 400),
        ("limit=201", 400),
        ("limit=x", 400),
        ("limit=²", 400),
        ("limit=1.0", 400),
        ("limit=-1", 400),
        ("limit=5&limit=6", 400),
        ("offset=1", 400),
        ("projectLinkId=missing", 404),
        ("projectLinkId=", 404),
        ("projectLinkId=" + "x" * 300, 404),
        ("&".join(f"x{number}=" for number in range(60)), 400),
    ],
)
def test_bad_queries(api: Api, query: str, status: int) -> None:
    assert api.get(f"/contracts?{query}").status == status


@pytest.mark.parametrize("what", ["participants", "budget"])
def test_unlinked_contracts_are_404(api: Api, sandbox: Sandbox, job: Job, what: str) -> None:
    contract, _ = sandbox.hire("T", job_id=job.id)
    assert api.get(f"/contracts/{contract.id}/{what}").status == 404
    assert api.get(f"/contracts/missing/{what}").status == 404
    link_id = api.link()
    assert api.get(f"/contracts/{contract.id}/{what}").status == 200
    api.call("DELETE", f"/project-links/{link_id}")
    assert api.get(f"/contracts/{contract.id}/{what}").status == 404


def test_participants(api: Api, sandbox: Sandbox) -> None:
    api.link()
    contract, trainer = sandbox.hire("José Ñ.", country="ES")
    assert trainer is not None
    second = sandbox.add_participant(contract.id, "Second", work_email="second@opentrain.work")
    answer = api.get(f"/contracts/{contract.id}/participants").body
    assert answer["contractId"] == contract.id
    first, other = answer["participants"]
    assert first["opentrainUserId"] == trainer.opentrain_user_id
    assert first["displayName"] == "José Ñ."
    assert first["country"] == "ES"
    assert first["workEmail"].endswith("@opentrain.work")
    assert other["opentrainUserId"] == second.opentrain_user_id
    assert other["workEmail"] == "second@opentrain.work"


def test_no_trainer_hired_yet(api: Api, sandbox: Sandbox) -> None:
    api.link()
    contract, trainer = sandbox.hire(hired=False)
    assert trainer is None
    assert api.get(f"/contracts/{contract.id}/participants").body["participants"] == []
    with pytest.raises(ApiError, match="no hired trainer"):
        sandbox.release_email(contract.id)


@pytest.mark.parametrize(
    ("scopes", "pii"), [(["participants:read", "project-links:write"], True), (None, False)]
)
def test_no_work_email_without_scope_and_consent(
    sandbox: Sandbox, session: requests.Session, scopes: list[str] | None, pii: bool
) -> None:
    api = Api(sandbox, session, sandbox.approve(scopes=scopes, pii_consent=pii).token)
    api.link()
    contract, _ = sandbox.hire("T")
    (person,) = api.get(f"/contracts/{contract.id}/participants").body["participants"]
    assert "workEmail" not in person


def test_work_emails_that_come_later(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.link()
    api.subscribe("contract.started")

    def emails(contract_id: str) -> list[bool]:
        shown = api.get(f"/contracts/{contract_id}/participants").body["participants"]
        return ["workEmail" in each for each in shown]

    timed, _ = sandbox.hire("Timed", work_email="later", seconds=60)
    held, _ = sandbox.hire("Held", work_email="later")
    never, _ = sandbox.hire("Never", work_email="never")
    sandbox.deliver_due()
    assert all("workEmail" not in each.event["data"]["freelancer"] for each in receiver.got)
    sandbox.advance(59)
    assert emails(timed.id) == [False]
    sandbox.advance(1)
    assert emails(timed.id) == [True]
    sandbox.advance(10_000_000)
    assert emails(held.id) == emails(never.id) == [False]
    sandbox.release_email(held.id)
    assert emails(held.id) == [True]


def test_another_work_email(api: Api, sandbox: Sandbox) -> None:
    api.link()
    contract, trainer = sandbox.hire("Maria S.")
    assert trainer is not None
    sandbox.change_email(trainer.opentrain_user_id, "other@opentrain.work")
    (person,) = api.get(f"/contracts/{contract.id}/participants").body["participants"]
    assert person["workEmail"] == "other@opentrain.work"


def test_the_same_trainer_on_two_contracts(api: Api, sandbox: Sandbox) -> None:
    api.link()
    _, trainer = sandbox.hire("Maria S.")
    assert trainer is not None
    again, same = sandbox.hire(opentrain_user_id=trainer.opentrain_user_id)
    assert same is trainer
    (person,) = api.get(f"/contracts/{again.id}/participants").body["participants"]
    assert person["opentrainUserId"] == trainer.opentrain_user_id


def test_a_contract_ends_once(sandbox: Sandbox) -> None:
    contract, _ = sandbox.hire("T")
    sandbox.end(contract.id)
    with pytest.raises(ApiError, match="ended already"):
        sandbox.end(contract.id)


def test_one_contract_event_for_each_link(api: Api, sandbox: Sandbox, receiver: Receiver, job: Job) -> None:
    links = [api.link("1", job), api.link("2", job)]
    api.subscribe()
    contract, trainer = sandbox.hire("Maria S.", job_id=job.id)
    sandbox.end(contract.id)
    sandbox.deliver_due()
    events = [each.event for each in receiver.got]
    assert [each["type"] for each in events] == ["contract.started"] * 2 + ["contract.ended"] * 2
    assert [each["data"]["projectLink"]["id"] for each in events] == links * 2
    assert [each["data"]["contract"]["status"] for each in events] == ["active"] * 2 + ["ended"] * 2
    assert events[0]["data"]["contract"]["endDate"] is None
    assert events[2]["data"]["contract"]["endDate"] == iso(sandbox.clock.now())
    assert trainer is not None
    assert events[0]["data"]["freelancer"]["workEmail"] == trainer.work_email
    assert {each["resourceId"] for each in events} == {contract.id}
    assert {each["jobId"] for each in events} == {job.id}
    ids = [int(each["id"]) for each in events]
    assert ids == sorted(set(ids))
    assert {each["apiVersion"] for each in events} == {"v1"}


def test_contracts_from_before_the_link_send_nothing(
    api: Api, sandbox: Sandbox, receiver: Receiver, job: Job
) -> None:
    api.subscribe("contract.started", "contract.ended")
    contract, _ = sandbox.hire("T", job_id=job.id)
    api.link("1", job)
    sandbox.deliver_due()
    assert receiver.got == []
    assert [each["id"] for each in api.get("/contracts").body["contracts"]] == [contract.id]


def test_no_body_names_the_install(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.subscribe("project_link.created", "contract.started", "contract.ended", "milestone.funded")
    api.link()
    contract, _ = sandbox.hire("T")
    sandbox.fund(contract.id, 10, 1)
    sandbox.end(contract.id)
    sandbox.deliver_due()
    install_id = api.get("/installs/current").body["install"]["id"]
    assert len(receiver.got) == 4
    assert all(install_id.encode() not in each.body for each in receiver.got)
