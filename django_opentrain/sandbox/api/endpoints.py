"""The webhook endpoints of an install."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from django_opentrain.platform.catalog import (
    ENDPOINT_ACTIVE,
    ENDPOINT_DISABLED,
    EVENT_TYPES,
    WEBHOOK_SECRET_PREFIX,
)
from django_opentrain.sandbox.api.routing import Call
from django_opentrain.sandbox.delivery import requeue
from django_opentrain.sandbox.errors import bad_request, not_found
from django_opentrain.sandbox.lookup import find_owned
from django_opentrain.sandbox.models import Delivery, Endpoint, new_id
from django_opentrain.sandbox.payloads import Json, endpoint_json
from django_opentrain.sandbox.validation import Fields

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


def list_webhook_endpoints(call: Call) -> Json:
    call.query.finish()
    endpoints = reversed(call.store.owned(Endpoint, call.install.id))
    return {"webhookEndpoints": [endpoint_json(each) for each in endpoints]}


def create_webhook_endpoint(call: Call) -> Json:
    call.query.finish()
    url = _url(call.body, required=True)
    event_types = call.body.texts("eventTypes", required=True, choices=EVENT_TYPES)
    call.body.finish()
    endpoint = Endpoint(
        id=new_id("whe"),
        install_id=call.install.id,
        url=str(url),
        event_types=event_types or [],
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
    call.query.finish()
    return {"webhookEndpoint": endpoint_json(_endpoint(call))}


def update_webhook_endpoint(call: Call) -> Json:
    call.query.finish()
    endpoint = _endpoint(call)
    url = _url(call.body, required=False)
    event_types = call.body.texts("eventTypes", choices=EVENT_TYPES)
    status = call.body.text("status", choices=(ENDPOINT_ACTIVE, ENDPOINT_DISABLED))
    call.body.finish()
    if url is None and event_types is None and status is None:
        raise bad_request("Nothing to change: send url, eventTypes or status")
    endpoint.url = url or endpoint.url
    endpoint.event_types = event_types or endpoint.event_types
    if status == ENDPOINT_ACTIVE:
        endpoint.consecutive_failures = 0
        endpoint.disabled_at = endpoint.disabled_reason = None
    elif status == ENDPOINT_DISABLED and endpoint.status == ENDPOINT_ACTIVE:
        endpoint.disabled_at = call.store.clock.now()
        endpoint.disabled_reason = "Disabled by the platform"
    endpoint.status = status or endpoint.status
    call.store.put(endpoint)
    return {"webhookEndpoint": endpoint_json(endpoint)}


def delete_webhook_endpoint(call: Call) -> Json:
    call.query.finish()
    endpoint = _endpoint(call)
    for delivery in call.store.owned(Delivery, endpoint.id):
        call.store.remove(delivery)
    call.store.remove(endpoint)
    return {"webhookEndpoint": endpoint_json(endpoint), "deleted": True}


def redeliver(call: Call) -> Json:
    call.query.finish()
    endpoint = _endpoint(call)
    delivery_id = call.body.text("deliveryId")
    call.body.finish()
    requeued = requeue(call.store, endpoint, delivery_id)
    if requeued is None:
        raise not_found("Delivery not found")
    waits = "" if endpoint.status == ENDPOINT_ACTIVE else " once the endpoint is ACTIVE"
    return {
        "webhookEndpoint": endpoint_json(endpoint),
        "requeued": len(requeued),
        "message": f"{len(requeued)} deliveries go out within 5 minutes{waits}.",
    }


def _url(body: Fields, *, required: bool) -> str | None:
    """https, or http to this machine only."""
    url = body.url("url", required=required)
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
            body.wrong("url", "Must be https (http for localhost only)")
    return url


def _endpoint(call: Call) -> Endpoint:
    return find_owned(call.store, Endpoint, call.ids[0], call.install.id)
