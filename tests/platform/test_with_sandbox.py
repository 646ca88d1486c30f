"""The client and the local OpenTrain, each written from the documentation alone, understand each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from django_opentrain.platform.catalog import EVENT_TYPES
from django_opentrain.platform.client import PlatformClient, build_session
from django_opentrain.platform.errors import (
    BadRequest,
    Conflict,
    NotFound,
    RateLimited,
    Unauthorized,
    UnusableResponse,
)
from django_opentrain.platform.operations import OPERATIONS
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.sandbox import Clock, Sandbox, api

PROJECT_URL = "https://label.example/projects/7"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    opened = Sandbox(clock=Clock(speed=0), sender=lambda url, headers, body: 204)
    yield opened
    opened.close()


@pytest.fixture
def client(sandbox: Sandbox, pauses: list[float]) -> Iterator[PlatformClient]:
    with build_session() as session:
        sandbox.mount(session)
        yield PlatformClient(sandbox.base_url, sandbox.approve().token, session=session, sleep=pauses.append)


def test_the_operations_are_those_of_the_spec(client: PlatformClient) -> None:
    documented = {
        (method.upper(), re.sub(r"{\w+}", "{}", path))
        for path, methods in client.get_openapi()["paths"].items()
        for method in methods
        if method in ("get", "post", "patch", "delete")
    }
    ours = {(operation.method, re.sub(r"{\w+}", "{}", operation.path)) for operation in OPERATIONS}
    assert ours == documented - {("GET", "/openapi.json")}


def test_both_ask_for_the_same_scopes() -> None:
    def scopes(operations: Iterable[Any]) -> dict[tuple[str, str], str]:
        return {(each.method, re.sub(r"{\w+}", "{}", each.path)): each.scope or "" for each in operations}

    assert scopes(OPERATIONS) == scopes(api.OPERATIONS)


def test_the_core_loop(client: PlatformClient, sandbox: Sandbox) -> None:
    install = client.get_install()
    assert (install.status, install.app.slug, install.pii_consent) == ("ACTIVE", sandbox.app_slug, True)
    job = sandbox.create_job("Draw boxes")

    link = client.create_project_link(
        external_project_id="7", external_project_url=PROJECT_URL, job_id=job.id
    )
    assert client.get_project_link(link.id) == link
    assert client.list_project_links() == [link]
    with pytest.raises(Conflict):
        client.create_project_link(external_project_id="7")

    hired = sandbox.hire("Maria S.", job_id=job.id)
    [contract] = client.list_contracts(project_link_id=link.id, status="active", limit=200)
    assert (contract.id, contract.job_id, contract.project_link_ids) == (
        hired.contract.id,
        job.id,
        (link.id,),
    )
    [trainer] = client.list_participants(contract.id)
    assert hired.freelancer is not None
    assert trainer.opentrain_user_id == hired.freelancer.opentrain_user_id
    assert trainer.work_email.endswith("@opentrain.work")

    sandbox.fund(contract.id, amount_usd=100, volume=10)
    entry = UsageEntry(work_date=_today(sandbox), total_seconds=9 * 3600, tasks_completed=5)
    for _ in range(2):  # totals replace totals
        report = client.report_usage(contract.id, [entry])
        assert report.accepted == 1
    budget = client.get_budget(contract.id)
    assert (budget.state, budget.consumed_fraction) == ("LOW", Decimal("0.9"))
    assert budget.consumed.seconds == 9 * 3600
    assert budget == report.budget

    sandbox.end(contract.id)
    assert [ended.status for ended in client.list_contracts(status="ended")] == ["ended"]
    assert client.delete_project_link(link.id) == link
    with pytest.raises(NotFound):
        client.get_project_link(link.id)


def test_webhook_endpoints(client: PlatformClient) -> None:
    created = client.create_webhook_endpoint(url="https://label.example/hook/", event_types=EVENT_TYPES)
    assert created.secret.startswith("whsec_")
    endpoint = created.endpoint
    assert set(endpoint.event_types) == set(EVENT_TYPES)
    assert client.list_webhook_endpoints() == [client.get_webhook_endpoint(endpoint.id)]
    assert client.update_webhook_endpoint(endpoint.id, status="DISABLED").status == "DISABLED"
    assert client.update_webhook_endpoint(endpoint.id, status="ACTIVE").consecutive_failures == 0
    assert client.redeliver(endpoint.id).requeued == 0
    deleted = client.delete_webhook_endpoint(endpoint.id)
    assert deleted is not None
    assert deleted.id == endpoint.id
    assert client.list_webhook_endpoints() == []


def test_refusals(client: PlatformClient, sandbox: Sandbox) -> None:
    contract = sandbox.hire("Maria S.").contract
    client.create_project_link(external_project_id="7", job_id=contract.job_id)
    tomorrow = UsageEntry(work_date=_today(sandbox) + timedelta(days=1), total_seconds=1)
    with pytest.raises(BadRequest) as caught:
        client.report_usage(contract.id, [tomorrow])
    assert caught.value.request_id in str(caught.value)
    assert caught.value.code == "BAD_REQUEST"
    sandbox.disconnect()
    with pytest.raises(Unauthorized):
        client.get_install()


def test_a_lost_deletion(client: PlatformClient, sandbox: Sandbox) -> None:
    link = client.create_project_link(external_project_id="7")
    sandbox.fault("drop", match="DELETE .*")
    assert client.delete_project_link(link.id) is None
    assert client.list_project_links() == []


def test_a_lost_creation(client: PlatformClient, sandbox: Sandbox) -> None:
    sandbox.fault("truncate", match="POST /webhook-endpoints")
    with pytest.raises(UnusableResponse) as caught:
        client.create_webhook_endpoint(url="https://label.example/hook/", event_types=EVENT_TYPES)
    assert caught.value.outcome_unknown
    assert len(client.list_webhook_endpoints()) == 1


def test_passing_trouble(client: PlatformClient, sandbox: Sandbox, pauses: list[float]) -> None:
    for kind in ("error", "html", "empty", "drop", "truncate"):
        sandbox.fault(kind)
        assert client.get_install().status == "ACTIVE"
    assert len(pauses) == 5
    sandbox.fault("error", status=429, retry_after="60")
    with pytest.raises(RateLimited) as caught:
        client.get_install()
    assert caught.value.retry_after == 60


def _today(sandbox: Sandbox) -> date:
    return date.fromisoformat(sandbox.clock.today())
