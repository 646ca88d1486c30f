"""Deliveries as OpenTrain makes them, signed by hand."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

from django.test import Client

from django_opentrain.models import WebhookEndpoint

BODY = b'{"id": "evt_1", "type": "contract.ended", "apiVersion": "v1", "resourceId": "ctr_1", "data": {}}'


def signature(secret: str, body: bytes, *, age: int = 0) -> str:
    """The header's value for ``body`` signed ``age`` seconds ago; not made by the code under test."""
    stamp = int(time.time()) - age
    digest = hmac.new(secret.encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def headers(endpoint: WebhookEndpoint, body: bytes = BODY, **changes: Any) -> dict[str, Any]:
    """What a delivery's headers look like to WSGI; ``changes`` by WSGI name, None leaves one out."""
    sent = {
        "HTTP_X_OPENTRAIN_EVENT": "contract.ended",
        "HTTP_X_OPENTRAIN_DELIVERY": "del_1",
        "HTTP_X_OPENTRAIN_SIGNATURE": signature(str(endpoint.secret), body),
        "HTTP_USER_AGENT": "OpenTrain-Partner-Webhooks/1.0",
        **changes,
    }
    return {name: value for name, value in sent.items() if value is not None}


def deliver(
    client: Client, endpoint: WebhookEndpoint, body: bytes = BODY, *, path: str = "", **changes: Any
) -> int:
    """Deliver; the status of the answer."""
    url = path or f"/opentrain/webhooks/{endpoint.key}/"
    response = client.generic("POST", url, body, "application/json", **headers(endpoint, body, **changes))
    return response.status_code
