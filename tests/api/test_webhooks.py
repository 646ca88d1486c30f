"""Endpoint health and the events, as a front end sees them."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from django_opentrain.models import Install, WebhookEndpoint, WebhookEvent
from django_opentrain.services import connect
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.api.conftest import url
from tests.played import a_customer


@pytest.fixture
def endpoint(opentrain: OpenTrain) -> WebhookEndpoint:
    """One that works."""
    return a_customer(opentrain).webhook_endpoints.get()


def test_pause_and_recover(boss: APIClient, endpoint: WebhookEndpoint) -> None:
    assert boss.post(url("webhook-endpoint-pause", endpoint.pk)).json()["status"] == "PAUSED"
    refused = boss.post(url("webhook-endpoint-redeliver", endpoint.pk))
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    assert boss.post(url("webhook-endpoint-recover", endpoint.pk)).json()["status"] == "ACTIVE"


def test_rotate(boss: APIClient, endpoint: WebhookEndpoint) -> None:
    made = boss.post(url("webhook-endpoint-rotate", endpoint.pk))
    assert (made.status_code, made.json()["status"]) == (201, "ACTIVE")
    old = boss.get(url("webhook-endpoint-detail", endpoint.pk)).json()
    assert (old["status"], bool(old["retireAt"])) == ("RETIRING", True)
    again = boss.post(url("webhook-endpoint-rotate", endpoint.pk))
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")


def test_rotate_a_compromised_secret(boss: APIClient, endpoint: WebhookEndpoint) -> None:
    path = url("webhook-endpoint-rotate", endpoint.pk)
    for wrong in ("true", 1, None):
        assert boss.post(path, {"compromised": wrong}, format="json").status_code == 400
    made = boss.post(path, {"compromised": True}, format="json")
    assert (made.status_code, made.json()["status"]) == (201, "ACTIVE")
    endpoint.refresh_from_db()
    assert endpoint.compromised_at is not None


def test_redeliver(boss: APIClient, endpoint: WebhookEndpoint) -> None:
    response = boss.post(url("webhook-endpoint-redeliver", endpoint.pk), {}, format="json")
    assert (response.status_code, response.json()) == (202, {"requeued": 0})
    unknown = boss.post(
        url("webhook-endpoint-redeliver", endpoint.pk), {"deliveryId": "dlv_unknown"}, format="json"
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "OPENTRAIN_NOT_FOUND")


@pytest.mark.parametrize("action", ["recover", "pause", "rotate", "redeliver"])
def test_an_endpoint_that_opentrain_has_not_confirmed(action: str, boss: APIClient, install: Install) -> None:
    endpoint = factories.make_endpoint(install, status="PENDING", opentrain_id="")
    response = boss.post(url(f"webhook-endpoint-{action}", endpoint.pk))
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")


@pytest.mark.parametrize("action", ["recover", "pause", "rotate", "redeliver"])
def test_an_endpoint_of_an_ended_connection(
    action: str, boss: APIClient, endpoint: WebhookEndpoint, opentrain: OpenTrain
) -> None:
    connect.disconnect(endpoint.install)
    calls = len(opentrain.sandbox.calls)
    response = boss.post(url(f"webhook-endpoint-{action}", endpoint.pk))
    assert (response.status_code, response.json()["code"]) == (409, "RECONNECT_REQUIRED")
    assert len(opentrain.sandbox.calls) == calls


def test_a_removed_endpoint_is_not_there(boss: APIClient, install: Install) -> None:
    endpoint = factories.make_endpoint(install, status="REMOVED")
    assert boss.get(url("webhook-endpoint-list")).json()["results"] == []
    assert boss.get(url("webhook-endpoint-detail", endpoint.pk)).status_code == 404


def test_replay(boss: APIClient, endpoint: WebhookEndpoint) -> None:
    event = factories.make_event(endpoint, status="FAILED", error="it failed", attempts=20)
    other = factories.make_event(endpoint, status="FAILED")
    shown = boss.post(url("event-replay", event.pk))
    assert shown.status_code == 202
    assert (shown.json()["status"], shown.json()["error"], shown.json()["attempts"]) == ("PENDING", None, 0)
    other.refresh_from_db()
    assert other.status == "FAILED"


def test_an_event_whose_body_is_gone_is_not_replayed(boss: APIClient, endpoint: WebhookEndpoint) -> None:
    event = factories.make_event(endpoint, body=None, status="PROCESSED")
    assert boss.get(url("event-detail", event.pk)).json()["replayable"] is False
    response = boss.post(url("event-replay", event.pk))
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")
    assert WebhookEvent.objects.get().status == "PROCESSED"


@pytest.mark.parametrize("name", ["type", "status", "resourceId", "endpointId", "installId"])
def test_event_filters(name: str, boss: APIClient, endpoint: WebhookEndpoint) -> None:
    mine = factories.make_event(endpoint, type="contract.ended", status="FAILED")
    other = factories.make_endpoint(factories.make_install("acme"))
    factories.make_event(other)
    shown = boss.get(url("event-detail", mine.pk)).json()
    value = {"installId": endpoint.install.pk}.get(name) or shown[name]
    assert boss.get(url("event-list"), {name: value}).json()["results"] == [shown]
