"""The webhook endpoints of an install."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from django_opentrain.platform.catalog import ENDPOINT_ACTIVE, ENDPOINT_DISABLED, WEBHOOK_SECRET_PREFIX
from django_opentrain.sandbox.api.routing import Call
from django_opentrain.sandbox.delivery import fail_pending, requeue
from django_opentrain.sandbox.lookup import find_owned
from django_opentrain.sandbox.models import Delivery, Endpoint, new_id
from django_opentrain.sandbox.payloads import Json, endpoint_json
from django_opentrain.sandbox.schema import issue, refuse

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


def list_webhook_endpoints(call: Call) -> Json:
    endpoints = reversed(call.store.owned(Endpoint, call.install.id))
    return {"webhookEndpoints": [endpoint_json(each) for each in endpoints]}


def create_webhook_endpoint(call: Call) -> Json:
    _check_url(call)
    endpoint = Endpoint(
        id=new_id("whe"),
        install_id=call.install.id,
        url=call.body["url"],
        event_types=_event_types(call),
        created_at=call.store.clock.now(),
        high_water_mark=call.store.last_event,
        secret=WEBHOOK_SECRET_PREFIX + secrets.token_hex(32),
    )
    call.store.put(endpoint)
    return {
        "webhookEndpoint": endpoint_json(endpoint),
        "secret": endpoint.secret,
        "message": "Store the secret now: it is not shown again.",
    }


def get_webhook_endpoint(call: Call) -> Json:
    return {"webhookEndpoint": endpoint_json(_endpoint(call))}


def update_webhook_endpoint(call: Call) -> Json:
    endpoint = _endpoint(call)
    _check_url(call)
    endpoint.url = call.body.get("url", endpoint.url)
    endpoint.event_types = _event_types(call) or endpoint.event_types
    status = call.body.get("status", endpoint.status)
    if status == ENDPOINT_ACTIVE and "status" in call.body:
        endpoint.consecutive_failures = 0
        endpoint.disabled_at = endpoint.disabled_reason = None
    elif status == ENDPOINT_DISABLED and endpoint.status == ENDPOINT_ACTIVE:
        endpoint.disabled_at = call.store.clock.now()
        endpoint.disabled_reason = "Disabled by the platform"
        if call.store.readings.disabled == "fail":
            fail_pending(call.store, endpoint)
    endpoint.status = status
    call.store.put(endpoint)
    return {"webhookEndpoint": endpoint_json(endpoint)}


def delete_webhook_endpoint(call: Call) -> Json:
    endpoint = _endpoint(call)
    for delivery in call.store.owned(Delivery, endpoint.id):
        call.store.remove(delivery)
    call.store.remove(endpoint)
    return {"webhookEndpoint": endpoint_json(endpoint), "deleted": True}


def redeliver(call: Call) -> Json:
    endpoint = _endpoint(call)
    requeued = requeue(call.store, endpoint, call.body.get("deliveryId"))
    waits = "" if endpoint.status == ENDPOINT_ACTIVE else " once the endpoint is ACTIVE"
    return {
        "webhookEndpoint": endpoint_json(endpoint),
        "requeued": requeued,
        "message": f"{requeued} deliveries go out within 5 minutes{waits}.",
    }


def _check_url(call: Call) -> None:
    """https, or http to this machine only."""
    parts = urlsplit(call.body.get("url", "https://"))
    if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
        refuse([issue(("url",), "Must be https (http for localhost only)")])


def _event_types(call: Call) -> list[str]:
    """Those of the body, each once."""
    return list(dict.fromkeys(call.body.get("eventTypes", ())))


def _endpoint(call: Call) -> Endpoint:
    return find_owned(call.store, Endpoint, call.ids[0], call.install.id)
