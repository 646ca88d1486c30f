"""Project links."""

from __future__ import annotations

from typing import Any

import pytest

from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.models import Job
from tests.sandbox.conftest import Api, Receiver


def test_create_get_list_delete(api: Api, job: Job) -> None:
    body = {
        "externalProjectId": "42",
        "externalProjectName": "Rechnungen ✓",
        "externalProjectUrl": "https://example.test/projects/42?tab=1",
        "jobId": job.id,
        "provisioningMode": "MANAGED_ADAPTER",
    }
    created = api.post("/project-links", body)
    assert created.status == 201
    link = created.body["projectLink"]
    assert {key: link[key] for key in body} == body
    other = api.link("43")
    assert [each["id"] for each in api.get("/project-links").body["projectLinks"]] == [
        other,
        link["id"],
    ]
    assert api.get(f"/project-links/{link['id']}").body["projectLink"] == link
    deleted = api.call("DELETE", f"/project-links/{link['id']}")
    assert deleted.body == {"projectLink": link, "deleted": True}
    assert api.get(f"/project-links/{link['id']}").status == 404
    assert api.call("DELETE", f"/project-links/{link['id']}").status == 404
    assert api.post("/project-links", body).status == 201  # the id is free again


def test_defaults(api: Api) -> None:
    link = api.post("/project-links", {"externalProjectId": "1"}).body["projectLink"]
    assert link["provisioningMode"] == "PARTNER_WEBHOOK"
    assert link["jobId"] is link["externalProjectName"] is link["externalProjectUrl"] is None


@pytest.mark.parametrize(
    ("body", "path", "says"),
    [
        ({}, "externalProjectId", "Required"),
        ({"externalProjectId": ""}, "externalProjectId", "1 to 200"),
        ({"externalProjectId": "x" * 201}, "externalProjectId", "1 to 200"),
        ({"externalProjectId": 7}, "externalProjectId", "string"),
        ({"externalProjectId": None}, "externalProjectId", "null"),
        ({"externalProjectId": "a\u0000"}, "externalProjectId", "NUL"),
        ({"externalProjectId": "\ud800"}, "externalProjectId", "NUL"),
        ({"externalProjectName": "x" * 301}, "externalProjectName", "0 to 300"),
        ({"externalProjectUrl": "https://a.test/" + "x" * 2034}, "externalProjectUrl", "1 to 2048"),
        ({"externalProjectUrl": "/relative"}, "externalProjectUrl", "URL"),
        ({"externalProjectUrl": "javascript:alert(1)"}, "externalProjectUrl", "URL"),
        ({"externalProjectUrl": "https://a.test:99999/"}, "externalProjectUrl", "URL"),
        ({"externalProjectUrl": "https://user:pw@a.test/"}, "externalProjectUrl", "URL"),
        ({"externalProjectUrl": "https://a.test/#x#y"}, "externalProjectUrl", "URL"),
        ({"externalProjectUrl": "https://a.test/?x[]=1"}, "externalProjectUrl", "URL"),
        ({"externalProjectUrl": "https://a.test/%zz"}, "externalProjectUrl", "URL"),
        ({"jobId": None}, "jobId", "null"),
        ({"provisioningMode": "OTHER"}, "provisioningMode", "PARTNER_WEBHOOK"),
        ({"externalProjectID": "1"}, "externalProjectID", "Unknown"),
    ],
)
def test_bad_bodies(api: Api, body: dict[str, Any], path: str, says: str) -> None:
    answer = api.post("/project-links", {"externalProjectId": "1", **body} if body else body)
    assert answer.status == 400
    assert says in answer.issues[path]
    assert api.get("/project-links").body["projectLinks"] == []


@pytest.mark.parametrize(
    ("field", "length"),
    [("externalProjectId", 200), ("externalProjectName", 300)],
)
def test_longest_values_are_taken(api: Api, field: str, length: int) -> None:
    body = {"externalProjectId": "1", field: "é" * length}
    assert api.post("/project-links", body).status == 201


def test_the_scheme_of_a_url_may_be_in_upper_case(api: Api) -> None:
    body = {"externalProjectId": "1", "externalProjectUrl": "HTTPS://a.test/1"}
    assert api.post("/project-links", body).body["projectLink"]["externalProjectUrl"] == "HTTPS://a.test/1"


def test_a_job_of_another_customer_is_404(api: Api, sandbox: Sandbox) -> None:
    elsewhere = sandbox.create_organization("Elsewhere")
    theirs = sandbox.create_job("Theirs", organization_id=elsewhere.id)
    for job_id in (theirs.id, "job_missing", "", "x" * 300, "job\u0000"):
        answer = api.post("/project-links", {"externalProjectId": "1", "jobId": job_id})
        assert answer.status == 404


def test_a_link_of_another_install_is_404(api: Api, sandbox: Sandbox) -> None:
    link_id = api.link()
    api.token = sandbox.approve(organization_id=sandbox.create_organization("Other").id).token
    assert api.get(f"/project-links/{link_id}").status == 404
    assert api.call("DELETE", f"/project-links/{link_id}").status == 404


def test_a_project_is_linked_once_per_install(api: Api, sandbox: Sandbox) -> None:
    api.link("1")
    assert api.post("/project-links", {"externalProjectId": "1"}).code == "CONFLICT"
    api.token = sandbox.approve(organization_id=sandbox.create_organization("Other").id).token
    assert api.post("/project-links", {"externalProjectId": "1"}).status == 201


def test_the_link_limit(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_app(link_limit=2)
    api.link("1")
    api.link("2")
    refused = api.post("/project-links", {"externalProjectId": "3"})
    assert refused.code == "CONFLICT"
    assert "2" in refused.body["error"]


def test_the_customer_chooses_the_job_later_without_an_event(
    api: Api, sandbox: Sandbox, receiver: Receiver, job: Job
) -> None:
    api.subscribe("project_link.created", "project_link.removed", "contract.started")
    link = api.post("/project-links", {"externalProjectId": "1"}).body["projectLink"]
    sandbox.set_link(link["id"], job.id)
    assert api.get(f"/project-links/{link['id']}").body["projectLink"] == {**link, "jobId": job.id}
    sandbox.hire("T", job_id=job.id)
    sandbox.set_link(link["id"])
    sandbox.hire("U", job_id=job.id)
    sandbox.deliver_due()
    assert receiver.types == ["project_link.created", "contract.started"]


def test_link_events(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.subscribe("project_link.created", "project_link.removed")
    link_id = api.link()
    link = api.get(f"/project-links/{link_id}").body["projectLink"]
    api.call("DELETE", f"/project-links/{link_id}")
    sandbox.deliver_due()
    created, removed = (each.event for each in receiver.got)
    assert created["type"] == "project_link.created"
    assert removed["type"] == "project_link.removed"
    for event in (created, removed):
        assert event["resourceId"] == link_id
        assert event["jobId"] == link["jobId"]
        assert event["data"] == {"projectLink": link}
