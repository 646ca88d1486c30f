from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest

from django_opentrain import __version__
from django_opentrain.platform import operations
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    InvalidRequest,
    NotFound,
    UnusableResponse,
)
from django_opentrain.platform.resources import UsageEntry
from tests.platform.conftest import TOKEN
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import BUDGET, CONTRACT, ENDPOINT, INSTALL, LINK, PARTICIPANT

ROOT = "/api/partner/v1"
ENTRY = UsageEntry(work_date=date(2026, 11, 22), total_seconds=60)
SPEC = {"openapi": "3.1.0", "paths": {}}

Act = Callable[[PlatformClient], Any]

#: Each operation with all of its arguments, and what it has to send for them.
CALLS: list[tuple[Act, str, str, dict[str, str], Any, dict[str, Any]]] = [
    (lambda c: c.get_install(), "GET", "/installs/current", {}, None, {"install": INSTALL}),
    (lambda c: c.list_project_links(), "GET", "/project-links", {}, None, {"projectLinks": [LINK]}),
    (
        lambda c: c.create_project_link(
            external_project_id="7",
            external_project_name="Street signs",
            external_project_url="https://label.example/projects/7",
            job_id="job_1",
            provisioning_mode="MANAGED_ADAPTER",
        ),
        "POST",
        "/project-links",
        {},
        {
            "externalProjectId": "7",
            "externalProjectName": "Street signs",
            "externalProjectUrl": "https://label.example/projects/7",
            "jobId": "job_1",
            "provisioningMode": "MANAGED_ADAPTER",
        },
        {"projectLink": LINK},
    ),
    (lambda c: c.get_project_link("lnk_1"), "GET", "/project-links/lnk_1", {}, None, {"projectLink": LINK}),
    (
        lambda c: c.delete_project_link("lnk_1"),
        "DELETE",
        "/project-links/lnk_1",
        {},
        None,
        {"projectLink": LINK, "deleted": True},
    ),
    (
        lambda c: c.list_contracts(project_link_id="a&b", status="ended", limit=200),
        "GET",
        "/contracts",
        {"projectLinkId": "a&b", "status": "ended", "limit": "200"},
        None,
        {"contracts": [CONTRACT]},
    ),
    (
        lambda c: c.list_participants("ctr_1"),
        "GET",
        "/contracts/ctr_1/participants",
        {},
        None,
        {"contractId": "ctr_1", "participants": [PARTICIPANT]},
    ),
    (lambda c: c.get_budget("ctr_1"), "GET", "/contracts/ctr_1/budget", {}, None, BUDGET),
    (
        lambda c: c.report_usage("ctr_1", [ENTRY]),
        "POST",
        "/contracts/ctr_1/usage",
        {},
        {"entries": [{"workDate": "2026-11-22", "totalSeconds": 60}]},
        {"contractId": "ctr_1", "accepted": 1, "budget": BUDGET},
    ),
    (
        lambda c: c.list_webhook_endpoints(),
        "GET",
        "/webhook-endpoints",
        {},
        None,
        {"webhookEndpoints": [ENDPOINT]},
    ),
    (
        lambda c: c.create_webhook_endpoint(url="https://label.example/h/", event_types=("contract.ended",)),
        "POST",
        "/webhook-endpoints",
        {},
        {"url": "https://label.example/h/", "eventTypes": ["contract.ended"]},
        {"webhookEndpoint": ENDPOINT, "secret": "whsec_1", "message": "Save it"},
    ),
    (
        lambda c: c.get_webhook_endpoint("whe_1"),
        "GET",
        "/webhook-endpoints/whe_1",
        {},
        None,
        {"webhookEndpoint": ENDPOINT},
    ),
    (
        lambda c: c.update_webhook_endpoint(
            "whe_1", url="https://label.example/i/", event_types=["contract.ended"], status="ACTIVE"
        ),
        "PATCH",
        "/webhook-endpoints/whe_1",
        {},
        {"url": "https://label.example/i/", "eventTypes": ["contract.ended"], "status": "ACTIVE"},
        {"webhookEndpoint": ENDPOINT},
    ),
    (
        lambda c: c.delete_webhook_endpoint("whe_1"),
        "DELETE",
        "/webhook-endpoints/whe_1",
        {},
        None,
        {"webhookEndpoint": ENDPOINT, "deleted": True},
    ),
    (
        lambda c: c.redeliver("whe_1", "dlv_1"),
        "POST",
        "/webhook-endpoints/whe_1/redeliver",
        {},
        {"deliveryId": "dlv_1"},
        {"webhookEndpoint": ENDPOINT, "requeued": 1, "message": "Soon"},
    ),
    (lambda c: c.get_openapi(), "GET", "/openapi.json", {}, None, SPEC),
]
NAMES = [operation.name for operation in (*operations.OPERATIONS, operations.GET_OPENAPI)]
every_call = pytest.mark.parametrize(("act", "method", "path", "query", "body", "answer"), CALLS, ids=NAMES)
every_act = pytest.mark.parametrize("act", [call[0] for call in CALLS], ids=NAMES)


@every_call
@pytest.mark.parametrize("status", [200, 201])
def test_sends_what_the_documentation_says(
    client: PlatformClient,
    server: ScriptedServer,
    act: Act,
    method: str,
    path: str,
    query: dict[str, str],
    body: Any,
    answer: dict[str, Any],
    status: int,
) -> None:
    server.answers(status, answer)
    assert act(client)
    [request] = server.received
    assert (request.method, request.path) == (method, ROOT + path)
    assert {name: value for name, [value] in parse_qs(request.target.partition("?")[2]).items()} == query
    assert (request.json if request.body else None) == body
    assert request.headers["User-Agent"] == f"django-opentrain/{__version__}"
    assert request.headers.get("Content-Type") == ("application/json" if body else None)
    assert request.headers["Accept"] == "application/json"


@every_act
def test_the_token_goes_everywhere_but_to_the_spec(
    client: PlatformClient, server: ScriptedServer, act: Act
) -> None:
    server.refuses(404, "NOT_FOUND")
    with pytest.raises(NotFound):
        act(client)
    sent = server.received[0].headers.get("Authorization")
    assert sent == (None if act is CALLS[-1][0] else f"Bearer {TOKEN}")


@every_act
@pytest.mark.parametrize(
    "document", [None, [], "ok", {}, {"install": []}, {"contracts": {}}, {"participants": [None]}], ids=repr
)
def test_a_success_without_its_content_is_not_usable(
    client: PlatformClient, server: ScriptedServer, act: Act, document: object
) -> None:
    server.answers(200, document, X_Request_Id="req_3")
    if act is CALLS[-1][0] and isinstance(document, dict):
        assert act(client) == document
        return
    with pytest.raises(UnusableResponse) as caught:
        act(client)
    assert caught.value.status == 200
    assert caught.value.request_id == "req_3"
    assert caught.value.outcome_unknown
    assert caught.value.__context__ is None
    assert len(server.received) == 1


def test_typed_values_come_back(client: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"contracts": [CONTRACT, {"id": 2}]})
    assert [contract.id for contract in client.list_contracts()] == ["ctr_1", "2"]
    server.answers(200, {"participants": [PARTICIPANT]})
    assert client.list_participants("ctr_1")[0].work_email == "maria@opentrain.work"
    server.answers(200, BUDGET)
    assert client.get_budget("ctr_1").consumed_fraction == Decimal("0.8125")
    server.answers(201, {"webhookEndpoint": ENDPOINT, "secret": "whsec_1"})
    assert client.create_webhook_endpoint(url="https://x.example", event_types=["e"]).secret == "whsec_1"


def test_an_empty_list_is_a_list(client: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"projectLinks": []})
    assert client.list_project_links() == []


@pytest.mark.parametrize(
    "change",
    [{"url": "https://annotate.example/"}, {"eventTypes": ["contract.ended"]}, {"status": "ACTIVE"}],
    ids=lambda change: next(iter(change)),
)
def test_one_change_of_an_endpoint_is_enough(
    client: PlatformClient, server: ScriptedServer, change: dict[str, Any]
) -> None:
    names = {"eventTypes": "event_types"}
    server.answers(200, {"webhookEndpoint": ENDPOINT})
    client.update_webhook_endpoint(
        "whe_1", **{names.get(name, name): value for name, value in change.items()}
    )
    [sent] = server.received
    assert sent.json == change


def test_what_is_not_given_is_not_sent(client: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"projectLink": LINK})
    client.create_project_link(external_project_id="7", external_project_name="", job_id=None)
    server.answers(200, {"contracts": []})
    client.list_contracts()
    server.answers(200, {"webhookEndpoint": ENDPOINT})
    client.update_webhook_endpoint("whe_1", status="DISABLED")
    server.answers(200, {"webhookEndpoint": ENDPOINT, "requeued": 0})
    client.redeliver("whe_1")
    link, contracts, update, redelivery = server.received
    assert link.json == {"externalProjectId": "7", "provisioningMode": "PARTNER_WEBHOOK"}
    assert contracts.target == ROOT + "/contracts"
    assert update.json == {"status": "DISABLED"}
    assert redelivery.json == {}


def test_an_id_cannot_change_the_path(client: PlatformClient, server: ScriptedServer) -> None:
    server.refuses(404, "NOT_FOUND")
    with pytest.raises(NotFound):
        client.get_budget("a/../b")
    assert server.received[0].target == ROOT + "/contracts/a%2F..%2Fb/budget"


def _entries(count: int, **members: Any) -> list[UsageEntry]:
    return [UsageEntry(**{"work_date": date(2026, 11, 22), **members})] * count


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda c: c.list_contracts(limit=0), "limit"),
        (lambda c: c.list_contracts(limit=201), "limit"),
        (lambda c: c.list_contracts(status="ACTIVE"), "status"),
        (lambda c: c.list_contracts(project_link_id="\ud800"), "sent"),
        (lambda c: c.create_project_link(external_project_id=""), "external_project_id"),
        (lambda c: c.create_project_link(external_project_id="x" * 201), "external_project_id"),
        (
            lambda c: c.create_project_link(external_project_id="7", external_project_name="x" * 301),
            "external_project_name",
        ),
        (
            lambda c: c.create_project_link(external_project_id="7", external_project_url="x" * 2049),
            "external_project_url",
        ),
        (
            lambda c: c.create_project_link(external_project_id="7", provisioning_mode="MAGIC"),
            "provisioning_mode",
        ),
        (lambda c: c.get_project_link(".."), "link_id"),
        (lambda c: c.create_webhook_endpoint(url="", event_types=["x"]), "url"),
        (lambda c: c.create_webhook_endpoint(url="https://x.example", event_types=[]), "event type"),
        (lambda c: c.update_webhook_endpoint("e"), "Nothing to change"),
        (lambda c: c.update_webhook_endpoint("e", event_types=[]), "Nothing to change"),
        (lambda c: c.update_webhook_endpoint("e", status="ACTIVE", event_types=[]), "event type"),
        (lambda c: c.update_webhook_endpoint("e", status="PAUSED"), "status"),
        (lambda c: c.report_usage("c", []), "1 to 100"),
        (lambda c: c.report_usage("c", _entries(101)), "1 to 100"),
        (lambda c: c.report_usage("c", _entries(2, total_seconds=-1)), "total_seconds"),
        (lambda c: c.report_usage("c", _entries(1, tasks_completed=1.5)), "tasks_completed"),
        (lambda c: c.report_usage("c", _entries(1, labels_completed=True)), "labels_completed"),
        (lambda c: c.report_usage("c", _entries(1, work_date=datetime(2026, 1, 1))), "work_date"),  # noqa: DTZ001 - refused
    ],
)
def test_documented_limits_are_checked_before_sending(
    client: PlatformClient, server: ScriptedServer, act: Act, named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named) as caught:
        act(client)
    assert not caught.value.outcome_unknown
    assert server.received == []


def test_the_limits_themselves_are_allowed(client: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"projectLink": LINK})
    client.create_project_link(
        external_project_id="x" * 200, external_project_name="x" * 300, external_project_url="x" * 2048
    )
    for limit in (1, 200):
        server.answers(200, {"contracts": []})
        client.list_contracts(limit=limit)
    for count in (1, 100):
        server.answers(200, {"contractId": "c", "accepted": count})
        assert client.report_usage("c", _entries(count, total_seconds=86_400)).accepted == count


@pytest.mark.parametrize(
    ("status", "document"),
    [(204, None), (200, {"deleted": True}), (200, {"deleted": True, "projectLink": {"id": None}})],
    ids=["no content", "no snapshot", "malformed snapshot"],
)
def test_a_deletion_without_a_snapshot(
    client: PlatformClient, server: ScriptedServer, status: int, document: object
) -> None:
    if document is None:
        server.sends(status)
    else:
        server.answers(status, document)
    assert client.delete_project_link("lnk_1") is None


def test_a_deletion_that_says_it_did_not_delete(client: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"projectLink": LINK, "deleted": False})
    with pytest.raises(UnusableResponse, match="deleted"):
        client.delete_project_link("lnk_1")
