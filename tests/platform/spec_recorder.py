"""What the client really sends, and what it really looks at in a response."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from unittest import mock

import requests

from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.platform.responses import Success
from django_opentrain.platform.transport import Call, Transport


@dataclass
class Recorder:
    """The member names of one call, nested ones behind a dot."""

    query: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)


class Watched(Mapping[str, Any]):
    """A JSON object that notes which of its members are asked for."""

    def __init__(self, data: Mapping[str, Any], prefix: str, read: set[str]) -> None:
        self._data, self._prefix, self._read = data, prefix, read

    def __getitem__(self, name: str) -> Any:
        self._read.add(self._prefix + name)
        return watched(self._data[name], f"{self._prefix}{name}.", self._read)

    def get(self, name: str, default: Any = None) -> Any:
        self._read.add(self._prefix + name)
        return self[name] if name in self._data else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


def watched(value: Any, prefix: str, read: set[str]) -> Any:
    if isinstance(value, dict):
        return Watched(value, prefix, read)
    return [watched(each, prefix, read) for each in value] if isinstance(value, list) else value


def _names(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, list):
        return set().union(*(_names(each, prefix) for each in value))
    if not isinstance(value, dict):
        return set()
    inner = (_names(each, f"{prefix}{name}.") for name, each in value.items())
    return {f"{prefix}{name}" for name in value}.union(*inner)


LINK = {"id": "lnk_1"}
ENDPOINT = {"id": "whe_1", "eventTypes": []}
BUDGET = {"state": "OK", "consumed": {}, "activeMilestone": {"id": "m1"}}
#: Just enough of each response for every reader to run to its end.
ANSWERS: dict[str, Any] = {
    "get_install": {"install": {"id": "i", "scopes": [], "partnerApp": {"slug": "s"}, "token": {}}},
    "list_project_links": {"projectLinks": [LINK]},
    "create_project_link": {"projectLink": LINK},
    "get_project_link": {"projectLink": LINK},
    "delete_project_link": {"projectLink": LINK, "deleted": True},
    "list_contracts": {"contracts": [{"id": "ctr_1"}]},
    "list_participants": {"participants": [{"opentrainUserId": "usr_1"}]},
    "get_budget": BUDGET,
    "report_usage": {"contractId": "ctr_1", "budget": BUDGET},
    "list_webhook_endpoints": {"webhookEndpoints": [ENDPOINT]},
    "create_webhook_endpoint": {"webhookEndpoint": ENDPOINT, "secret": "whsec_1"},
    "get_webhook_endpoint": {"webhookEndpoint": ENDPOINT},
    "update_webhook_endpoint": {"webhookEndpoint": ENDPOINT},
    "delete_webhook_endpoint": {"webhookEndpoint": ENDPOINT, "deleted": True},
    "redeliver": {"webhookEndpoint": ENDPOINT},
}
ENTRY = UsageEntry(
    work_date=date(2026, 11, 2),
    total_seconds=1,
    tasks_completed=1,
    labels_completed=1,
    worker_opentrain_user_id="usr_1",
    external_report_id="r1",
)
#: Every operation, with every argument that it takes.
CALLS: tuple[Callable[[PlatformClient], object], ...] = (
    lambda client: client.get_install(),
    lambda client: client.list_project_links(),
    lambda client: client.create_project_link(
        external_project_id="p1",
        external_project_name="P",
        external_project_url="https://annotate.example/p1",
        job_id="job_1",
    ),
    lambda client: client.get_project_link("lnk_1"),
    lambda client: client.delete_project_link("lnk_1"),
    lambda client: client.list_contracts(project_link_id="lnk_1", status="active", limit=1),
    lambda client: client.list_participants("ctr_1"),
    lambda client: client.get_budget("ctr_1"),
    lambda client: client.report_usage("ctr_1", [ENTRY]),
    lambda client: client.list_webhook_endpoints(),
    lambda client: client.create_webhook_endpoint(url="https://a.example/", event_types=catalog.EVENT_TYPES),
    lambda client: client.get_webhook_endpoint("whe_1"),
    lambda client: client.update_webhook_endpoint(
        "whe_1", url="https://a.example/", event_types=catalog.EVENT_TYPES, status="ACTIVE"
    ),
    lambda client: client.delete_webhook_endpoint("whe_1"),
    lambda client: client.redeliver("whe_1", "dlv_1"),
)


def recorded_calls() -> dict[str, Recorder]:
    """Make every call; no request leaves the client."""
    calls: dict[str, Recorder] = {}

    def send(_transport: Transport, call: Call) -> Success:
        record = calls[call.operation.name] = Recorder(query=set(call.query))
        record.sent = _names(json.loads(call.body or b"{}"))
        return Success(200, document=watched(ANSWERS[call.operation.name], "", record.read))

    client = PlatformClient("https://app.opentrain.test", "ot_ptk_1", session=requests.Session())
    with mock.patch.object(Transport, "send", send):
        for call in CALLS:
            call(client)
    return calls
