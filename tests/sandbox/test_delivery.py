"""The delivery engine: signatures, retries, giving up, redelivery."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Mapping

import pytest
import requests

from django_opentrain.platform.catalog import EVENT_TYPES
from django_opentrain.platform.signing import verify
from django_opentrain.sandbox import Approval, Sandbox
from django_opentrain.sandbox.models import Delivery
from tests.sandbox.conftest import Api, Receiver

MINUTE = 60


def delivery(sandbox: Sandbox) -> Delivery:
    (only,) = sandbox.store.all(Delivery)
    return only


def endpoint_of(api: Api) -> dict[str, object]:
    (only,) = api.get("/webhook-endpoints").body["webhookEndpoints"]
    return dict(only)


def test_the_request(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    created = api.post(
        "/webhook-endpoints", {"url": "https://example.test/h", "eventTypes": ["project_link.created"]}
    )
    api.link("Projekt ✓")
    before = int(time.time())
    assert sandbox.deliver_due() == 1
    (got,) = receiver.got
    assert got.url == "https://example.test/h"
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["User-Agent"] == "OpenTrain-Partner-Webhooks/1.0"
    assert got.headers["X-OpenTrain-Event"] == "project_link.created"
    assert got.headers["X-OpenTrain-Delivery"] == delivery(sandbox).id
    stamp, signature = got.headers["X-OpenTrain-Signature"].split(",")
    timestamp = stamp.removeprefix("t=")
    assert before <= int(timestamp) <= time.time()
    secret = created.body["secret"].encode()
    expected = hmac.new(secret, f"{timestamp}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert signature == f"v1={expected}"
    assert set(got.event) == {"id", "type", "apiVersion", "createdAt", "resourceId", "jobId", "data"}
    assert "Projekt ✓".encode() in got.body
    assert sandbox.deliver_due() == 0


def test_five_attempts_then_failed(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.subscribe("project_link.created")
    api.link()
    receiver.status = 500
    for wait in (0, 1, 5, 30, 120):
        if wait:
            sandbox.advance(wait * MINUTE - 1)
            assert sandbox.deliver_due() == 0
            sandbox.advance(1)
        assert sandbox.deliver_due() == 1
    assert delivery(sandbox).status == "FAILED"
    sandbox.advance(1_000_000)
    assert sandbox.deliver_due() == 0
    assert [each.error for each in delivery(sandbox).attempts] == ["HTTP 500"] * 5
    assert {each.headers["X-OpenTrain-Delivery"] for each in receiver.got} == {delivery(sandbox).id}
    assert {each.body for each in receiver.got} == {receiver.got[0].body}
    assert endpoint_of(api)["consecutiveFailures"] == 5
    assert endpoint_of(api)["status"] == "ACTIVE"


def test_each_attempt_is_signed_afresh(
    api: Api, sandbox: Sandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.subscribe("project_link.created")
    api.link()
    receiver.status = 500
    sandbox.deliver_due()
    monkeypatch.setattr(sandbox.clock, "wall", lambda: time.time() + 100)
    sandbox.advance(MINUTE)
    sandbox.deliver_due()
    first, second = (each.headers["X-OpenTrain-Signature"] for each in receiver.got)
    assert first != second


def test_signatures_carry_the_receivers_time(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    """Whatever the sandbox's own clock says: receivers compare with theirs."""
    created = api.post(
        "/webhook-endpoints", {"url": "https://a.test/", "eventTypes": ["project_link.created"]}
    )
    sandbox.advance(30 * 86_400)
    api.link()
    sandbox.deliver_due()
    (got,) = receiver.got
    assert verify(created.body["secret"], got.headers["X-OpenTrain-Signature"], got.body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(api: Api, sandbox: Sandbox, receiver: Receiver, status: int) -> None:
    api.subscribe("project_link.created")
    api.link()
    receiver.status = status
    sandbox.deliver_due()
    assert delivery(sandbox).status == "DELIVERED"
    assert endpoint_of(api)["consecutiveFailures"] == 0


@pytest.mark.parametrize("status", [199, 301, 302, 307, 400, 401, 404, 410, 429, 503])
def test_anything_else_has_failed(api: Api, sandbox: Sandbox, receiver: Receiver, status: int) -> None:
    api.subscribe("project_link.created")
    api.link()
    receiver.status = status
    sandbox.deliver_due()
    assert delivery(sandbox).status == "PENDING"
    assert endpoint_of(api)["consecutiveFailures"] == 1


def test_no_answer_has_failed(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.subscribe("project_link.created")
    api.link()
    receiver.error = requests.ConnectTimeout("no answer")
    sandbox.deliver_due()
    (attempt,) = delivery(sandbox).attempts
    assert (attempt.status, attempt.error) == (None, "ConnectTimeout")


def test_an_interrupted_attempt_is_made_again(api: Api, sandbox: Sandbox) -> None:
    api.subscribe("project_link.created")
    api.link()

    def interrupted(url: str, headers: Mapping[str, str], body: bytes) -> int:
        raise KeyboardInterrupt

    sandbox.engine.sender = interrupted
    with pytest.raises(KeyboardInterrupt):
        sandbox.deliver_due()
    sandbox.engine.sender = Receiver()
    sandbox.advance(MINUTE)
    assert sandbox.deliver_due() == 1
    assert delivery(sandbox).status == "DELIVERED"


def test_ten_failures_in_a_row_disable_the_endpoint(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint_id = api.subscribe("project_link.created")
    receiver.status = 500
    for number in range(9):
        api.link(str(number))
    sandbox.deliver_due()
    receiver.status = 200
    api.link("good")
    sandbox.deliver_due()
    assert endpoint_of(api)["consecutiveFailures"] == 0
    receiver.status = 500
    sandbox.advance(MINUTE)
    sandbox.deliver_due()
    assert endpoint_of(api)["consecutiveFailures"] == 9
    api.link("last straw")
    assert endpoint_of(api)["status"] == "ACTIVE"
    sandbox.deliver_due()
    endpoint = endpoint_of(api)
    assert endpoint["status"] == "DISABLED"
    assert endpoint["disabledAt"]
    assert "10" in str(endpoint["disabledReason"])
    assert {each.status for each in sandbox.store.all(Delivery)} == {"DELIVERED", "FAILED"}
    # Recovery, in the documented order.
    path = f"/webhook-endpoints/{endpoint_id}"
    requeued = api.post(f"{path}/redeliver", {})
    assert requeued.body["requeued"] == 10
    assert "once the endpoint is ACTIVE" in requeued.body["message"]
    sandbox.advance(5 * MINUTE)
    assert sandbox.deliver_due() == 0  # not while it is disabled
    enabled = api.call("PATCH", path, {"status": "ACTIVE"}).body["webhookEndpoint"]
    assert enabled["consecutiveFailures"] == 0
    receiver.status = 200
    receiver.got.clear()
    assert sandbox.deliver_due() == 10
    assert {each.status for each in sandbox.store.all(Delivery)} == {"DELIVERED"}


def test_disabling_stops_the_pass_that_is_under_way(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.subscribe("project_link.created")
    for number in range(12):
        api.link(str(number))
    receiver.status = 500
    assert sandbox.deliver_due() == 10
    assert {each.status for each in sandbox.store.all(Delivery)} == {"FAILED"}


def test_a_failure_that_comes_in_after_the_platform_disabled_changes_nothing(
    api: Api, sandbox: Sandbox, receiver: Receiver
) -> None:
    endpoint_id = api.subscribe("project_link.created")
    receiver.status = 500
    for number in range(9):
        api.link(str(number))
    sandbox.deliver_due()
    api.link("under way")
    under_way = sandbox.engine.claim_next()
    assert under_way is not None
    paused = api.call("PATCH", f"/webhook-endpoints/{endpoint_id}", {"status": "DISABLED"})
    sandbox.engine.attempt(under_way)
    assert endpoint_of(api) == {**paused.body["webhookEndpoint"], "consecutiveFailures": 10}
    assert {each.status for each in sandbox.store.all(Delivery)} == {"PENDING"}


def test_redeliver_one(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint_id = api.subscribe("project_link.created")
    path = f"/webhook-endpoints/{endpoint_id}/redeliver"
    api.link("1")
    pending = delivery(sandbox)
    receiver.status = 500
    sandbox.deliver_due()
    assert sandbox.deliver_due() == 0  # its retry is a minute away
    receiver.status = 204
    assert api.post(path, {"deliveryId": pending.id}).body["requeued"] == 1  # whatever its status
    assert sandbox.deliver_due() == 1
    assert api.post(path, {}).body["requeued"] == 0  # none has failed
    assert api.post(path, {"deliveryId": pending.id}).body["requeued"] == 1
    sandbox.deliver_due()
    _, first, second = receiver.got
    assert first.headers["X-OpenTrain-Delivery"] == second.headers["X-OpenTrain-Delivery"]
    assert first.body == second.body
    for missing in ("whd_missing", "", "x" * 300):
        assert api.post(path, {"deliveryId": missing}).status == 404
    assert api.post(path).code == "BAD_REQUEST"  # {} is all that have failed, no body is none
    assert api.post(path, {"deliveryId": 7}).status == 400


def test_redelivery_starts_the_five_attempts_over(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint_id = api.subscribe("project_link.created")
    api.link("1")
    receiver.status = 500
    for wait in (0, 1, 5, 30, 120):
        sandbox.advance(wait * MINUTE)
        sandbox.deliver_due()
    api.post(f"/webhook-endpoints/{endpoint_id}/redeliver", {})
    sandbox.deliver_due()
    assert delivery(sandbox).status == "PENDING"
    assert len(delivery(sandbox).attempts) == 6


def test_revoked_is_the_last_that_an_install_hears(
    api: Api, sandbox: Sandbox, receiver: Receiver, approval: Approval
) -> None:
    api.link()
    api.subscribe()
    sandbox.approve()
    sandbox.approve()  # which ends the second, and is no more news for the first
    contract, _ = sandbox.hire("T")
    sandbox.end(contract.id)
    sandbox.deliver_due()
    (event,) = [each.event for each in receiver.got]
    assert event["type"] == "install.revoked"
    assert event["resourceId"] == approval.install.id
    assert event["data"]["install"]["status"] == "REVOKED"


def test_a_receiver_that_calls_back_and_deletes(api: Api, sandbox: Sandbox) -> None:
    endpoint_id = api.subscribe("project_link.created")
    api.link()

    def deletes(url: str, headers: Mapping[str, str], body: bytes) -> int:
        api.call("DELETE", f"/webhook-endpoints/{endpoint_id}")
        return 200

    sandbox.engine.sender = deletes
    assert sandbox.deliver_due() == 1
    assert sandbox.store.all(Delivery) == []


def test_a_hanging_endpoint_keeps_at_most_four_senders(api: Api, sandbox: Sandbox) -> None:
    api.subscribe("project_link.created", url="https://example.test/slow")
    for number in range(6):
        api.link(str(number))
    api.subscribe("project_link.created", url="https://example.test/quick")
    api.link("7")
    claimed = [sandbox.engine.claim_next() for _ in range(6)]
    urls = [each.url.rpartition("/")[2] for each in claimed if each is not None]
    assert urls == ["slow"] * 4 + ["quick"]


def test_nothing_is_sent_twice_at_a_time(api: Api, sandbox: Sandbox, receiver: Receiver) -> None:
    api.subscribe(*EVENT_TYPES)
    for number in range(30):
        api.link(str(number))
    threads = [threading.Thread(target=sandbox.deliver_due) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.headers["X-OpenTrain-Delivery"] for each in receiver.got}) == len(receiver.got) == 30


def test_lone_surrogates_are_escaped_as_javascript_does(
    api: Api, sandbox: Sandbox, receiver: Receiver
) -> None:
    api.subscribe("contract.started")
    sandbox.emit("contract.started", data={"contract": {"title": "\ud83d \x00"}})
    sandbox.deliver_due()
    assert b"\\ud83d \\u0000" in receiver.got[0].body
    assert receiver.got[0].event["data"]["contract"]["title"] == "\ud83d \x00"
