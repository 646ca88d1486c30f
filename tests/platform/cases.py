"""What several test modules try the client on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    OpenTrainError,
)
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_client import ENTRY, SPEC
from tests.platform.test_resources import ENDPOINT, INSTALL

Act = Callable[[PlatformClient], Any]

REPEATED: list[tuple[Act, dict[str, Any]]] = [
    (lambda c: c.get_install(), {"install": INSTALL}),
    (lambda c: c.report_usage("c", [ENTRY]), {"contractId": "c", "accepted": 1}),
    (lambda c: c.delete_webhook_endpoint("e"), {"webhookEndpoint": ENDPOINT, "deleted": True}),
    (lambda c: c.get_openapi(), SPEC),
]
SENT_ONCE: list[Act] = [
    lambda c: c.create_project_link(external_project_id="7"),
    lambda c: c.create_webhook_endpoint(url="https://x.example", event_types=["contract.ended"]),
    lambda c: c.update_webhook_endpoint("e", status="ACTIVE"),
    lambda c: c.redeliver("e"),
]
FAULTS: list[Callable[[ScriptedServer], None]] = [
    lambda s: s.drops(),
    lambda s: s.cuts_short(),
    lambda s: s.sends(500),
    lambda s: s.sends(502, b"<html>Bad gateway</html>", Content_Type="text/html"),
    lambda s: s.refuses(429, "RATE_LIMITED"),
]
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=["drop", "cut", "500", "502 HTML", "429"])


def caught_from(act: Act, client: PlatformClient) -> OpenTrainError:
    with pytest.raises(OpenTrainError) as caught:
        act(client)
    return caught.value


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
