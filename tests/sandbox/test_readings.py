"""What OpenTrain's documentation leaves open: each point, read in each way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from django_opentrain.platform.catalog import API_PATH
from django_opentrain.platform.payloads import order_key
from django_opentrain.sandbox import Readings, Sandbox
from django_opentrain.sandbox.models import Delivery, Install
from django_opentrain.sandbox.readings import parse
from tests.sandbox.conftest import Receiver

MINUTE = 60
HOOK = {"url": "https://example.test/hook", "eventTypes": ["project_link.created"]}


class Client:
    """Calls the API, without holding the answers against the description of the default readings."""

    def __init__(self, session: requests.Session, sandbox: Sandbox) -> None:
        self._session, self._url = session, sandbox.base_url + API_PATH
        self._token = sandbox.approve().token

    def __call__(self, method: str, path: str, body: object = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._session.request(method, self._url + path, json=body, headers=headers)


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def sandbox(receiver: Receiver, readings: Readings) -> Iterator[Sandbox]:
    made = Sandbox(speed=0, sender=receiver, readings=readings)
    yield made
    made.close()


@pytest.fixture
def client(session: requests.Session, sandbox: Sandbox) -> Client:
    return Client(session, sandbox)


def reading(name: str, *values: str) -> pytest.MarkDecorator:
    """The test once for each value of one reading, which it gets as ``value``."""
    return pytest.mark.parametrize(
        ("readings", "value"), [(Readings(**{name: value}), value) for value in values], ids=values
    )


def link(client: Client, project_id: str = "1", **fields: object) -> requests.Response:
    return client("POST", "/project-links", {"externalProjectId": project_id, **fields})


# The registry -----------------------------------------------------------------------------------


def test_assignments() -> None:
    assert Readings(**dict([parse("retry-delays=since-first"), parse("created=200")])) == Readings(
        retry_delays="since-first", created="200"
    )


@pytest.mark.parametrize("text", ["created=202", "created", "create=200", "", "=200"])
def test_impossible_assignments(text: str) -> None:
    with pytest.raises(ValueError, match=r"one of 201\|200|no open point"):
        parse(text)


# Consent ----------------------------------------------------------------------------------------


@reading("decline", "parameters", "error", "bare", "page")
def test_declining(sandbox: Sandbox, session: requests.Session, value: str) -> None:
    back = "http://127.0.0.1:8000/callback/"
    url = f"{sandbox.base_url}/integrations/annotation-demo/connect"
    answer = session.post(
        url,
        params={"redirect_uri": back, "state": "s1"},
        data={"decision": "decline"},
        allow_redirects=False,
    )
    assert answer.headers.get("Location") == {
        "parameters": f"{back}?state=s1",
        "error": f"{back}?error=access_denied&state=s1",
        "bare": back,
        "page": None,
    }.get(value)


@reading("reconnect", "any-site", "same-site")
def test_reconnecting(sandbox: Sandbox, value: str) -> None:
    for origin in ("https://one.test", "https://two.test", "https://two.test"):
        sandbox.approve(redirect_uri=f"{origin}/callback/")
    statuses = [each.status for each in sandbox.store.all(Install)]
    first = "REVOKED" if value == "any-site" else "ACTIVE"
    assert statuses == [first, "REVOKED", "ACTIVE"]


# Calls ------------------------------------------------------------------------------------------


@reading("created", "201", "200")
def test_the_status_of_a_creation(client: Client, value: str) -> None:
    assert link(client).status_code == int(value)
    assert client("POST", "/webhook-endpoints", HOOK).status_code == int(value)
    assert client("GET", "/project-links").status_code == 200


@reading("empty_fields", "null", "absent")
def test_fields_without_a_value(client: Client, sandbox: Sandbox, receiver: Receiver, value: str) -> None:
    client("POST", "/webhook-endpoints", HOOK)
    made = link(client).json()["projectLink"]
    sandbox.deliver_due()
    (delivered,) = receiver.got
    for shown in (made, delivered.event["data"]["projectLink"], delivered.event):
        assert ("jobId" in shown) == (value == "null")


@reading("request_nulls", "refused", "accepted")
def test_null_in_a_request(client: Client, value: str) -> None:
    assert link(client, jobId=None).status_code == (400 if value == "refused" else 201)
    assert client("POST", "/project-links", {"externalProjectId": None}).status_code == 400


@reading("day_seconds", "86400", "90000")
def test_a_days_seconds(client: Client, sandbox: Sandbox, value: str) -> None:
    job = sandbox.create_job("Boxes")
    link(client, jobId=job.id)
    contract, _ = sandbox.hire("T", job_id=job.id)
    entry: dict[str, Any] = {"workDate": sandbox.clock.today(), "totalSeconds": int(value)}
    path = f"/contracts/{contract.id}/usage"
    assert client("POST", path, {"entries": [entry]}).status_code == 200
    entry["totalSeconds"] += 1
    assert client("POST", path, {"entries": [entry]}).status_code == 400


@reading("rate_limit", "none", "seconds", "date", "reset")
def test_what_a_429_says(client: Client, sandbox: Sandbox, value: str) -> None:
    sandbox.fault("error", status=429)
    headers = client("GET", "/project-links").headers
    if value == "seconds":
        assert headers["Retry-After"] == "30"
    elif value == "date":
        asked = parsedate_to_datetime(headers["Retry-After"]).timestamp()
        assert 25 < asked - sandbox.clock.wall() <= 30
    else:
        assert "Retry-After" not in headers
    assert ("X-RateLimit-Reset" in headers) == (value == "reset")
    sandbox.fault("error", status=429, retry_after="7")
    assert client("GET", "/project-links").headers["Retry-After"] == "7"


# Deliveries -------------------------------------------------------------------------------------


@reading("retry_delays", "between", "since-first")
def test_retry_delays(client: Client, sandbox: Sandbox, receiver: Receiver, value: str) -> None:
    client("POST", "/webhook-endpoints", HOOK)
    link(client)
    receiver.status = 500
    waits = {"between": (1, 5, 30, 120), "since-first": (1, 4, 25, 90)}[value]
    assert sandbox.deliver_due() == 1
    for minutes in waits:
        sandbox.advance(minutes * MINUTE - 1)
        assert sandbox.deliver_due() == 0
        sandbox.advance(1)
        assert sandbox.deliver_due() == 1
    (delivery,) = sandbox.store.all(Delivery)
    assert delivery.status == "FAILED"


@reading("failures", "attempts", "deliveries")
def test_what_counts_as_a_failure(client: Client, sandbox: Sandbox, receiver: Receiver, value: str) -> None:
    client("POST", "/webhook-endpoints", HOOK)
    receiver.status = 500
    for number in range(10):
        link(client, str(number))
    sandbox.deliver_due()

    def endpoint() -> dict[str, Any]:
        (shown,) = client("GET", "/webhook-endpoints").json()["webhookEndpoints"]
        return dict(shown)

    assert endpoint()["consecutiveFailures"] == (10 if value == "attempts" else 0)
    assert (endpoint()["status"] == "DISABLED") == (value == "attempts")
    for _ in range(4):
        sandbox.advance(120 * MINUTE)
        sandbox.deliver_due()
    assert (endpoint()["status"], endpoint()["consecutiveFailures"]) == ("DISABLED", 10)


@reading("disabled", "wait", "fail")
def test_pausing(client: Client, sandbox: Sandbox, value: str) -> None:
    endpoint = client("POST", "/webhook-endpoints", HOOK).json()["webhookEndpoint"]
    link(client)
    client("PATCH", f"/webhook-endpoints/{endpoint['id']}", {"status": "DISABLED"})
    (delivery,) = sandbox.store.all(Delivery)
    assert delivery.status == {"wait": "PENDING", "fail": "FAILED"}[value]


@reading("event_ids", "digits", "prefixed", "ulid")
def test_event_ids_sort_as_they_were_issued(
    client: Client, sandbox: Sandbox, receiver: Receiver, value: str
) -> None:
    client("POST", "/webhook-endpoints", HOOK)
    for number in range(12):
        link(client, str(number))
        sandbox.advance(0.0004)
    sandbox.deliver_due()
    ids = [each.event["id"] for each in receiver.got]
    pattern = {"digits": "[0-9]+", "prefixed": "evt_[0-9]+", "ulid": "[0-7][0-9A-HJKMNP-TV-Z]{25}"}[value]
    assert all(re.fullmatch(pattern, each) for each in ids)
    assert sorted(ids, key=order_key) == ids
    assert len(set(ids)) == 12
    assert (sorted(ids) == ids) == (value == "ulid")


# Events -----------------------------------------------------------------------------------------


def data_of(sandbox: Sandbox, client: Client, receiver: Receiver, event_type: str) -> dict[str, Any]:
    client("POST", "/webhook-endpoints", {**HOOK, "eventTypes": [event_type]})
    sandbox.emit(event_type)
    sandbox.deliver_due()
    return dict(receiver.got[0].event["data"])


@reading("contract_events", "all", "documented")
def test_contract_events(client: Client, sandbox: Sandbox, receiver: Receiver, value: str) -> None:
    data = data_of(sandbox, client, receiver, "contract.started")
    if value == "documented":
        assert data["contract"] == {"status": "active", "endDate": None}
        assert list(data["freelancer"]) == ["workEmail"]
    else:
        assert {"id", "jobId", "title", "startDate"} < data["contract"].keys()
        assert "opentrainUserId" in data["freelancer"]
    assert "jobId" in data["projectLink"]


@reading("milestone_events", "all", "contract-id", "contract")
def test_milestone_events(client: Client, sandbox: Sandbox, receiver: Receiver, value: str) -> None:
    data = data_of(sandbox, client, receiver, "milestone.funded")
    others = {"all": {"contractId", "contract", "projectLink"}, "contract-id": {"contractId"}}
    assert data.keys() == {"milestone", "budget", *others.get(value, {"contract"})}


@reading("revoked_events", "install", "id", "empty")
def test_revoked_events(client: Client, sandbox: Sandbox, receiver: Receiver, value: str) -> None:
    data = data_of(sandbox, client, receiver, "install.revoked")
    assert data.keys() == {"install": {"install"}, "id": {"installId"}, "empty": set()}[value]
    assert receiver.got[0].event["resourceId"] == sandbox.store.all(Install)[0].id
