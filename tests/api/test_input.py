"""What comes in is bounded and strict, and errors are reported per field, in one format."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from django_opentrain.api.exceptions import MAX_DETAILS
from django_opentrain.api.parsers import MAX_BODY_BYTES, ApiParser, PayloadTooLarge
from django_opentrain.models import Install
from tests import factories
from tests.api.conftest import url


def send(boss: APIClient, body: bytes | str, content_type: str = "application/json") -> Any:
    return boss.post(url("install-connect"), body, content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "nul",
        b"\xff",
        '{"nextUrl": NaN}',
        '{"nextUrl": Infinity}',
        "[" * 60_000,
        '{"a":' * 20_000,
        "1" * 10_000,
        '{"token": "ot_ptk_secret", }',
    ],
    ids=lambda body: str(body)[:20],
)
def test_what_is_not_json(body: bytes | str, boss: APIClient) -> None:
    response = send(boss, body)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")
    assert "ot_ptk_secret" not in response.content.decode()


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "true"])
def test_what_is_not_an_object(body: str, boss: APIClient) -> None:
    response = send(boss, body)
    assert (response.status_code, list(response.json()["details"])) == (400, ["body"])


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"],
)
def test_what_is_not_sent_as_json(content_type: str, boss: APIClient) -> None:
    response = send(boss, b"nextUrl=%2F", content_type)
    assert (response.status_code, response.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content_type", ["application/json; charset=nonsense", "Application/JSON;x=y"])
def test_parameters_of_the_media_type_mean_nothing(content_type: str, boss: APIClient) -> None:
    assert send(boss, "{}", content_type).status_code == 200


def test_a_body_that_is_too_long(boss: APIClient) -> None:
    response = send(boss, json.dumps({"nextUrl": "x" * MAX_BODY_BYTES}))
    assert (response.status_code, response.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_body_whose_length_nobody_told() -> None:
    with pytest.raises(PayloadTooLarge):
        ApiParser().parse(io.BytesIO(b" " * (MAX_BODY_BYTES + 1)))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"projectId": "acme-1"}, ["projectId"]),
        ({"": 1}, ["body"]),
        ({"external_project_id": "acme-1", "nextUrl": 5}, ["external_project_id", "nextUrl"]),
        ({"externalProjectId": ""}, ["externalProjectId"]),
        ({"externalProjectId": None}, ["externalProjectId"]),
        ({"externalProjectId": "x" * 201}, ["externalProjectId"]),
        ({"externalProjectId": ["acme-1"]}, ["externalProjectId"]),
        ({"nextUrl": "/" * 2049}, ["nextUrl"]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_wrong_fields_are_named(body: dict[str, Any], wrong: list[str], boss: APIClient) -> None:
    response = send(boss, json.dumps(body))
    assert (response.status_code, list(response.json()["details"])) == (400, wrong)


def test_any_number_of_wrong_fields(boss: APIClient) -> None:
    body = {f"field {number} \ud800": 1 for number in range(3000)}
    details = send(boss, json.dumps(body)).json()["details"]
    assert len(details) == MAX_DETAILS


@pytest.mark.parametrize("action", ["verify", "disconnect", "reconcile", "confirm-removals"])
def test_an_action_that_takes_nothing(action: str, boss: APIClient, install: Install) -> None:
    response = boss.post(url(f"install-{action}", install.pk), {"force": True}, format="json")
    assert (response.status_code, list(response.json()["details"])) == (400, ["force"])


@pytest.mark.parametrize(
    "url_of_project",
    ["javascript:alert(1)", "ftp://example.org/", "//example.org", "https://a b", "https://x\n"],
)
def test_a_projects_url_leads_to_a_page(url_of_project: str, boss: APIClient, install: Install) -> None:
    body = {"externalProjectId": "acme-1", "externalProjectUrl": url_of_project}
    response = boss.post(url("project-link-list"), body, format="json")
    assert list(response.json()["details"]) == ["externalProjectUrl"]


@pytest.mark.parametrize(
    ("name", "query", "wrong"),
    [
        ("contract-list", {"state": "active"}, "state"),
        ("contract-list", {"status": "ACTIVE"}, "status"),
        ("contract-list", {"limit": "0"}, "limit"),
        ("contract-list", {"limit": "201"}, "limit"),
        ("contract-list", {"limit": "all"}, "limit"),
        ("contract-list", {"ordering": "budget"}, "ordering"),
        ("contract-list", {"jobId": "x\0"}, "jobId"),
        ("contract-list", {"installId": "9" * 30}, "installId"),
        ("project-link-list", {"status": "REMOVED"}, "status"),
        ("event-list", {"type": "x" * 101}, "type"),
        ("contract-usage", {"since": "yesterday"}, "since"),
        ("contract-list", {"cursor": "x"}, "cursor"),
        ("contract-list", {"cursor": "bnVsbA"}, "cursor"),
        ("contract-list", {"cursor": "WyIxIiwgLTFd"}, "cursor"),
        ("contract-list", {"cursor": "WyJ4IiwgMV0", "ordering": "startDate"}, "cursor"),
        ("contract-list", {"cursor": "WyIxIiwgdHJ1ZV0"}, "cursor"),
        ("contract-list", {"cursor": "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OTkiLCAxXQ"}, "cursor"),
    ],
)
def test_wrong_queries_are_named(
    name: str, query: dict[str, str], wrong: str, boss: APIClient, install: Install
) -> None:
    row = [factories.make_contract(install).pk] if name == "contract-usage" else []
    response = boss.get(url(name, *row), query)
    assert (response.status_code, list(response.json()["details"])) == (400, [wrong])


@pytest.mark.parametrize("method", ["put", "patch", "post", "options", "delete"])
def test_a_method_that_is_not_there(method: str, boss: APIClient) -> None:
    response = getattr(boss, method)(url("contract-list"))
    assert (response.status_code, response.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in response["Allow"]


@pytest.mark.parametrize("accept", ["text/html", "application/json; indent=8", "image/png", "nonsense"])
def test_answers_are_json_whatever_is_accepted(accept: str, boss: APIClient) -> None:
    response = boss.get(url("contract-list"), headers={"Accept": accept})
    assert (response["Content-Type"], response.content) == (
        "application/json",
        b'{"results":[],"nextCursor":null}',
    )
