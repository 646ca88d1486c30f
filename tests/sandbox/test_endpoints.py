"""Webhook endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.models import Endpoint
from tests.sandbox.conftest import Api, Receiver

URL = "https://example.test/hook"


def test_the_secret_is_in_the_answer_to_create_only(api: Api) -> None:
    body = {"url": URL, "eventTypes": ["contract.started", "contract.ended"]}
    created = api.post("/webhook-endpoints", body)
    assert created.status == 201
    assert created.body["secret"].startswith("whsec_")
    endpoint = created.body["webhookEndpoint"]
    assert endpoint["status"] == "ACTIVE"
    assert {key: endpoint[key] for key in body} == body
    newer = api.subscribe()
    listed = api.get("/webhook-endpoints").body["webhookEndpoints"]
    assert [each["id"] for each in listed] == [newer, endpoint["id"]]
    assert listed[1] == api.get(f"/webhook-endpoints/{endpoint['id']}").body["webhookEndpoint"] == endpoint


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"url": "http://example.test/hook"}, "url"),
        ({"url": "http://0.0.0.0/hook"}, "url"),
        ({"url": "http://localhost.example.test/hook"}, "url"),
        ({"url": "ftp://localhost/hook"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "/hook"}, "url"),
        ({"url": "https://example.test/" + "x" * 2048}, "url"),
        ({"url": 7}, "url"),
        ({"eventTypes": []}, "eventTypes"),
        ({"eventTypes": "contract.started"}, "eventTypes"),
        ({"eventTypes": ["contract.paused"]}, "eventTypes.0"),
        ({"eventTypes": [7]}, "eventTypes.0"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_bad_bodies(api: Api, change: dict[str, Any], key: str) -> None:
    answer = api.post("/webhook-endpoints", {"url": URL, "eventTypes": ["contract.started"], **change})
    assert answer.status == 400
    assert list(answer.issues) == [key]
    endpoint_id = api.subscribe()
    assert api.call("PATCH", f"/webhook-endpoints/{endpoint_id}", change).status == 400


@pytest.mark.parametrize("missing", ["url", "eventTypes"])
def test_both_are_required(api: Api, missing: str) -> None:
    body = {"url": URL, "eventTypes": ["contract.started"]}
    del body[missing]
    assert missing in api.post("/webhook-endpoints", body).issues


def test_the_scheme_may_be_in_upper_case(api: Api) -> None:
    api.subscribe(url="HTTPS://example.test/hook")
    api.subscribe(url="HTTP://LOCALHOST:8000/hook")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_http_is_for_this_machine(api: Api, host: str) -> None:
    api.subscribe(url=f"http://{host}/hook")


def test_repeated_event_types_count_once(api: Api) -> None:
    endpoint_id = api.subscribe("contract.ended", "contract.ended")
    endpoint = api.get(f"/webhook-endpoints/{endpoint_id}").body["webhookEndpoint"]
    assert endpoint["eventTypes"] == ["contract.ended"]


def test_update(api: Api, sandbox: Sandbox) -> None:
    endpoint_id = api.subscribe()
    path = f"/webhook-endpoints/{endpoint_id}"
    moved = api.call("PATCH", path, {"url": "https://example.test/new"}).body["webhookEndpoint"]
    assert moved["url"] == "https://example.test/new"
    fewer = api.call("PATCH", path, {"eventTypes": ["install.revoked"]}).body["webhookEndpoint"]
    assert fewer["eventTypes"] == ["install.revoked"]
    off = api.call("PATCH", path, {"status": "DISABLED"}).body["webhookEndpoint"]
    assert off["status"] == "DISABLED"
    assert off["disabledAt"]
    assert off["disabledReason"]
    sandbox.advance(60)
    assert api.call("PATCH", path, {"status": "DISABLED"}).body["webhookEndpoint"] == off
    on = api.call("PATCH", path, {"status": "ACTIVE"}).body["webhookEndpoint"]
    assert (on["status"], on["disabledAt"], on["disabledReason"]) == ("ACTIVE", None, None)
    assert on["url"] == "https://example.test/new"
    assert api.call("PATCH", path, {}).status == 400
    assert api.call("PATCH", path, {"status": "PAUSED"}).status == 400


def test_what_is_not_ours_is_404(api: Api, sandbox: Sandbox) -> None:
    endpoint_id = api.subscribe()
    path = f"/webhook-endpoints/{endpoint_id}"
    api.token = sandbox.approve().token
    assert api.get(path).status == 404
    assert api.call("PATCH", path, {"status": "ACTIVE"}).status == 404
    assert api.call("DELETE", path).status == 404
    assert api.post(f"{path}/redeliver", {}).status == 404


def test_delete_discards_what_is_pending(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint_id = api.subscribe("project_link.created")
    api.link()
    deleted = api.call("DELETE", f"/webhook-endpoints/{endpoint_id}")
    assert deleted.body["deleted"] is True
    assert deleted.body["webhookEndpoint"]["id"] == endpoint_id
    assert sandbox.deliver_due() == 0
    assert receiver.got == []
    assert api.get(f"/webhook-endpoints/{endpoint_id}").status == 404


def test_no_backfill_and_only_subscribed_types(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.link("1")
    api.subscribe("project_link.removed", url=URL + "/removed")
    api.subscribe("project_link.created", url=URL + "/created")
    second = api.link("2")
    api.call("DELETE", f"/project-links/{second}")
    sandbox.deliver_due()
    assert [(each.url[len(URL) :], each.type) for each in receiver.got] == [
        ("/created", "project_link.created"),
        ("/removed", "project_link.removed"),
    ]


def test_an_endpoint_gets_what_is_above_its_high_water_mark(
    api: Api, sandbox: Sandbox, receiver: Receiver
) -> None:
    api.link("1")
    api.link("2")
    api.subscribe()
    (endpoint,) = sandbox.store.all(Endpoint)
    assert endpoint.high_water_mark == sandbox.store.last_event == 2
    api.link("3")
    sandbox.redeliver(endpoint.id)
    sandbox.deliver_due()
    assert [int(each.event["id"]) for each in receiver.got] == [endpoint.high_water_mark + 1]


def test_a_disabled_endpoint_misses_what_happens(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint_id = api.subscribe("project_link.created")
    api.link("waits")
    api.call("PATCH", f"/webhook-endpoints/{endpoint_id}", {"status": "DISABLED"})
    api.link("missed")
    assert sandbox.deliver_due() == 0
    api.call("PATCH", f"/webhook-endpoints/{endpoint_id}", {"status": "ACTIVE"})
    sandbox.deliver_due()
    assert [each.event["data"]["projectLink"]["externalProjectId"] for each in receiver.got] == ["waits"]
