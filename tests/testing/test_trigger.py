"""``opentrain_trigger`` against a sandbox that serves HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_opentrain.management.commands.opentrain_trigger import data_of
from django_opentrain.models import Install, WebhookEndpoint, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.runner import DeliveryRunner
from django_opentrain.sandbox.server import SandboxServer
from django_opentrain.testing.kit import OpenTrain
from tests.played import a_customer

COMMAND = "opentrain_trigger"


@pytest.fixture
def serve() -> Iterator[Callable[[Sandbox], str]]:
    """Serves sandboxes over HTTP; returns the address."""
    with ExitStack() as stack:

        def start(sandbox: Sandbox) -> str:
            server = SandboxServer()
            server.start(sandbox.app)
            stack.callback(server.server_close)
            stack.callback(server.stop)
            return server.url

        yield start


def trigger(event: str, url: str, **options: Any) -> str:
    output = StringIO()
    call_command(COMMAND, event, sandbox=url, stdout=output, **options)
    return output.getvalue()


# What it sends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("event_type", catalog.EVENT_TYPES)
def test_each_event_comes_in(opentrain: OpenTrain, serve: Callable[[Sandbox], str], event_type: str) -> None:
    a_customer(opentrain)
    opentrain.link("1")
    opentrain.run()
    url = serve(opentrain.sandbox)
    assert trigger(event_type, url, wait=0).startswith("Event ")
    opentrain.run()
    event = WebhookEvent.objects.filter(type=event_type).latest("pk")
    assert event.status == WebhookEvent.Status.PROCESSED, event.error


@pytest.mark.long
def test_fields_are_the_callers_choice(opentrain: OpenTrain, serve: Callable[[Sandbox], str]) -> None:
    a_customer(opentrain)
    opentrain.link("1")
    maria = opentrain.hire("Maria S.")
    opentrain.run()
    trigger(
        "milestone.budget_low",
        serve(opentrain.sandbox),
        contract=maria.id,
        set=["budget.state=DEPLETED", "contract.title=Kisten für Ümläute"],
        wait=0,
    )
    opentrain.run()
    assert maria.contract.budget_state == "DEPLETED"
    data = WebhookEvent.objects.get(type="milestone.budget_low").payload["data"]
    assert data["contract"]["title"] == "Kisten für Ümläute"
    assert data["contractId"] == maria.id


def test_a_link_can_be_named(opentrain: OpenTrain, serve: Callable[[Sandbox], str]) -> None:
    a_customer(opentrain)
    first, second = opentrain.link("1"), opentrain.link("2")
    opentrain.run()
    trigger("project_link.removed", serve(opentrain.sandbox), link=first.opentrain_id, wait=0)
    opentrain.run()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("REMOVED", "ACTIVE")


@pytest.mark.parametrize("by", ["tenant", "install", "endpoint"])
def test_the_customer_can_be_named(opentrain: OpenTrain, serve: Callable[[Sandbox], str], by: str) -> None:
    acme = a_customer(opentrain)
    opentrain.connect("globex")
    options: dict[str, dict[str, Any]] = {
        "tenant": {"install": "acme"},
        "install": {"install": acme.opentrain_id},
        "endpoint": {"endpoint": WebhookEndpoint.objects.get(install=acme).key},
    }
    trigger("install.revoked", serve(opentrain.sandbox), **options[by], wait=0)
    opentrain.run()
    revoked = Install.objects.filter(status=Install.Status.REVOKED)
    assert list(revoked.values_list("tenant", flat=True)) == ["acme"]


def test_without_a_name_it_is_the_newest_customer(
    opentrain: OpenTrain, serve: Callable[[Sandbox], str]
) -> None:
    a_customer(opentrain)
    opentrain.connect("globex")
    trigger("install.revoked", serve(opentrain.sandbox), wait=0)
    opentrain.run()
    assert Install.objects.get(status=Install.Status.REVOKED).tenant == "globex"


# What it prints ---------------------------------------------------------------------------------


class Receiver:
    """Answers deliveries with ``status``, and remembers them."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.bodies: list[bytes] = []

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        self.bodies.append(body)
        return self.status


@pytest.fixture
def delivering(serve: Callable[[Sandbox], str]) -> Iterator[Callable[[Receiver], str]]:
    """A sandbox with one customer, which delivers to a receiver in the background; returns its address."""
    with ExitStack() as stack:

        def start(receiver: Receiver) -> str:
            sandbox = stack.enter_context(closing(Sandbox(sender=receiver)))
            token = sandbox.approve().token
            sandbox.app.handle(
                "POST",
                f"{catalog.API_PATH}/webhook-endpoints",
                "",
                {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                json.dumps(
                    {"url": "https://annotate.example/hook/", "eventTypes": [*catalog.EVENT_TYPES]}
                ).encode(),
            )
            runner = DeliveryRunner(sandbox.engine)
            runner.start()
            stack.callback(runner.stop)
            return serve(sandbox)

        yield start


def test_it_tells_how_the_site_answered(delivering: Callable[[Receiver], str]) -> None:
    receiver = Receiver(200)
    output = trigger("contract.started", delivering(receiver), set=["freelancer.displayName=王小明"])
    assert output.splitlines()[1] == "https://annotate.example/hook/ → HTTP 200"
    assert json.loads(receiver.bodies[0])["data"]["freelancer"]["displayName"] == "王小明"


def test_it_fails_when_the_site_refused(delivering: Callable[[Receiver], str]) -> None:
    output = StringIO()
    with pytest.raises(CommandError, match="Not every delivery"):
        call_command(COMMAND, "contract.started", sandbox=delivering(Receiver(403)), stdout=output)
    assert "HTTP 403" in output.getvalue()


def test_it_doesnt_wait_for_ever(opentrain: OpenTrain, serve: Callable[[Sandbox], str]) -> None:
    a_customer(opentrain)
    output = StringIO()
    with pytest.raises(CommandError, match="Not every delivery"):
        call_command(COMMAND, "contract.started", sandbox=serve(opentrain.sandbox), wait=0.3, stdout=output)
    assert "not sent yet" in output.getvalue()


def test_it_says_when_nobody_listens(opentrain: OpenTrain, serve: Callable[[Sandbox], str]) -> None:
    opentrain.connect(scopes=["contracts:read"])
    with pytest.raises(CommandError, match="no active webhook endpoint"):
        trigger("contract.started", serve(opentrain.sandbox))


# What it refuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://app.opentrain.ai",
        "https://app.opentrain.ai/",
        "https://APP.OpenTrain.AI:443/x",
        "https://opentrain.ai",
        "https://staging.opentrain.ai",
    ],
)
def test_opentrain_itself_is_left_alone(url: str) -> None:
    with pytest.raises(CommandError, match="OpenTrain itself"):
        trigger("contract.started", url)


def test_the_base_url_is_where_it_looks_first(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "BASE_URL": "https://app.opentrain.ai"}
    with pytest.raises(CommandError, match="OpenTrain itself"):
        call_command(COMMAND, "contract.started")


def test_it_says_when_nobody_is_there() -> None:
    with socket.socket() as bound:  # bound, but it doesn't listen
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(CommandError, match="opentrain_sandbox"):
            trigger("contract.started", f"http://127.0.0.1:{port}")


def test_it_says_what_the_sandbox_refused(opentrain: OpenTrain, serve: Callable[[Sandbox], str]) -> None:
    a_customer(opentrain)
    with pytest.raises(CommandError, match="Contract not found"):
        trigger("contract.started", serve(opentrain.sandbox), contract="ctr_unknown")


@pytest.mark.parametrize("wait", ["-5", "nan", "inf"])
def test_a_time_to_wait_that_is_none_is_refused(wait: str) -> None:
    with pytest.raises(CommandError, match="--wait"):
        call_command(COMMAND, "contract.started", "--wait", wait)


def test_an_unknown_install_is_refused(opentrain: OpenTrain, serve: Callable[[Sandbox], str]) -> None:
    a_customer(opentrain)
    with pytest.raises(CommandError, match="Install not found"):
        trigger("contract.started", serve(opentrain.sandbox), install="nope")


@pytest.mark.django_db
def test_an_unknown_endpoint_is_refused() -> None:
    with pytest.raises(CommandError, match="No webhook endpoint here"):
        trigger("contract.started", "http://127.0.0.1:1", endpoint="2c0e8c0e-5a6e-4d7c-8f0e-0e8c0e5a6e4d")


@pytest.mark.parametrize(
    ("assignments", "data"),
    [
        ([], {}),
        (["contract.title=Boxes"], {"contract": {"title": "Boxes"}}),
        (["a.b=1", "a.c=x=y", "d="], {"a": {"b": 1, "c": "x=y"}, "d": ""}),
        (['a="1"', "b=null", "c=[1, 2]"], {"a": "1", "b": None, "c": [1, 2]}),
        (
            ['budget={"state": "LOW"}', "budget.consumedFraction=0.9"],
            {"budget": {"state": "LOW", "consumedFraction": 0.9}},
        ),
    ],
)
def test_assignments_become_data(assignments: list[str], data: dict[str, Any]) -> None:
    assert data_of(assignments) == data


@pytest.mark.parametrize("assignments", [["a"], ["=1"], ["a..b=1"], [".=1"], ["a=1", "a.b=2"]])
def test_other_assignments_are_refused(assignments: list[str]) -> None:
    with pytest.raises(CommandError, match="--set"):
        data_of(assignments)
