"""Signals: a site hears all that happens to a customer, with the rows that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import Model
from django.dispatch import Signal

from django_opentrain import signals
from django_opentrain.models import AccessGrant, Contract, Install, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import ContractInfo
from django_opentrain.services.access import contracts
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_install

pytestmark = pytest.mark.django_db

Heard = list[tuple[str, type[Model], dict[str, object]]]

ALL = {name: each for name, each in vars(signals).items() if isinstance(each, Signal) and name.islower()}


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What each signal sent, in order."""
    news: Heard = []

    def listener(name: str) -> Callable[..., None]:
        def listen(sender: type[Model], signal: Signal, **arguments: object) -> None:
            news.append((name, sender, arguments))

        return listen

    listeners = {name: listener(name) for name in ALL}
    for name, each in ALL.items():
        each.connect(listeners[name])
    yield news
    for name, each in ALL.items():
        each.disconnect(listeners[name])


def test_what_a_site_hears_of_a_customer(opentrain: OpenTrain, heard: Heard) -> None:
    install = opentrain.connect("acme")
    opentrain.link("p1")
    maria = opentrain.hire()
    opentrain.fund(maria, hours=10)
    opentrain.run()
    opentrain.consume(maria, hours=9)
    opentrain.run()
    opentrain.end(maria)
    opentrain.run()
    opentrain.disconnect()
    opentrain.run()
    contract, grant = {"contract": maria.contract}, {"grant": maria.grant}
    assert [each for each in heard if each[0] != "event_received"] == [
        ("install_connected", Install, {"install": install}),
        ("contract_started", Contract, contract),
        ("access_granted", AccessGrant, grant),
        ("budget_changed", Contract, {**contract, "previous_state": "OK"}),
        ("contract_ended", Contract, contract),
        ("access_revoked", AccessGrant, grant),
        ("install_revoked", Install, {"install": install}),
    ]
    events = [arguments["event"] for name, sender, arguments in heard if sender is WebhookEvent]
    assert {event.type for event in events if isinstance(event, WebhookEvent)} == {
        catalog.PROJECT_LINK_CREATED,
        catalog.CONTRACT_STARTED,
        catalog.MILESTONE_FUNDED,
        catalog.MILESTONE_BUDGET_LOW,
        catalog.CONTRACT_ENDED,
        catalog.INSTALL_REVOKED,
    }


def test_a_contract_starts_once_and_not_after_its_end(
    heard: Heard, django_capture_on_commit_callbacks: Any
) -> None:
    install = make_install()
    going, over = ({"id": f"ctr_{status}", "status": status} for status in ("active", "ended"))
    with django_capture_on_commit_callbacks(execute=True):
        for contract in (going, going, over):
            contracts.save(install, ContractInfo.from_json(contract))
    assert [name for name, *_ in heard] == ["contract_started"]
