"""Signals: a site hears all that happens to a customer, with the rows that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.dispatch import Signal
from django.test import RequestFactory

from django_opentrain import signals
from django_opentrain.acting import answering
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import ContractInfo
from django_opentrain.services import endpoints, linking, reconcile, usage
from django_opentrain.services.access import contracts
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_install
from tests.played import a_trainer

pytestmark = pytest.mark.django_db

Committing = Callable[[], AbstractContextManager[Any]]
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


@pytest.mark.long
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
        ("link_created", ProjectLink, {"link": maria.grant.link, "actor": None}),
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


@pytest.fixture
def committing(django_capture_on_commit_callbacks: Any) -> Committing:
    """A context at whose end what was done in it is committed."""
    return partial(django_capture_on_commit_callbacks, execute=True)


def sent(heard: Heard, name: str) -> list[dict[str, Any]]:
    return [arguments for each, _sender, arguments in heard if each == name]


def hourly(opentrain: OpenTrain, hours: int = 1) -> None:
    for _hour in range(hours):
        opentrain.travel(hours=1)
        reconcile.request_all()
        opentrain.run()


class TestLinks:
    def test_a_link_is_created_and_removed_once(
        self, linked: OpenTrain, heard: Heard, committing: Committing
    ) -> None:
        with committing():
            link = linking.link(Install.objects.get(), "p2")
        assert sent(heard, "link_created") == [{"link": link, "actor": None}]
        hourly(linked)
        with committing():
            linking.unlink(link)
        hourly(linked)
        assert [len(sent(heard, name)) for name in ("link_created", "link_removed")] == [1, 1]
        assert sent(heard, "link_removed") == [{"link": link, "actor": None}]

    def test_they_say_in_whose_request(
        self, linked: OpenTrain, heard: Heard, committing: Committing, rf: RequestFactory, admin_user: User
    ) -> None:
        request = rf.post("/")
        request.user = admin_user
        with committing(), answering(request):
            link = linking.link(Install.objects.get(), "p2")
            linking.unlink(link)
        for name in ("link_created", "link_removed"):
            assert sent(heard, name) == [{"link": link, "actor": admin_user}]

    def test_one_that_opentrain_has_not_confirmed_is_announced_once_it_has(
        self, linked: OpenTrain, heard: Heard
    ) -> None:
        linked.fail_next(status=500, match="POST /project-links")
        link = linking.link(Install.objects.get(), "p2")
        assert sent(heard, "link_created") == []
        hourly(linked)
        assert sent(heard, "link_created") == [{"link": link, "actor": None}]

    def test_one_that_opentrain_never_had_is_not_announced(
        self, linked: OpenTrain, heard: Heard, committing: Committing
    ) -> None:
        linked.fail_next(status=500, match="POST /project-links")
        with committing():
            linking.unlink(linking.link(Install.objects.get(), "p2"))
        hourly(linked)
        assert [name for name, *_ in heard if name.startswith("link_")] == []

    def test_links_that_are_made_and_removed_on_opentrain_are_announced(
        self, linked: OpenTrain, heard: Heard
    ) -> None:
        info = Install.objects.get().client.create_project_link(
            external_project_id="p2", external_project_name="P2"
        )
        linked.run()
        link = ProjectLink.objects.get(opentrain_id=info.id)
        assert sent(heard, "link_created") == [{"link": link, "actor": None}]
        link.install.client.delete_project_link(info.id)
        hourly(linked)
        assert sent(heard, "link_removed") == [{"link": link, "actor": None}]

    @pytest.mark.long
    def test_a_reconnect_neither_creates_nor_removes_any(
        self, linked: OpenTrain, heard: Heard, committing: Committing
    ) -> None:
        linked.connect("acme")
        hourly(linked)
        link = ProjectLink.objects.live().get()
        assert (link.status, link.linked_at is None) == (ProjectLink.Status.ACTIVE, False)
        assert [name for name, *_ in heard if name.startswith("link_")] == []
        with committing():
            linking.unlink(link)
        assert sent(heard, "link_removed") == [{"link": link, "actor": None}]

    @pytest.mark.long
    def test_a_link_that_is_created_again_is_not_new(self, linked: OpenTrain, heard: Heard) -> None:
        """It is gone on OpenTrain, and so many trainers work there that it is created again."""
        for number in range(6):
            linked.hire(f"Trainer {number}")
        linked.run()
        link = ProjectLink.objects.get()
        endpoints.pause(WebhookEndpoint.objects.get())
        link.install.client.delete_project_link(str(link.opentrain_id))
        hourly(linked)
        old_id = link.opentrain_id
        link.refresh_from_db()
        assert (link.status, link.opentrain_id == old_id) == (ProjectLink.Status.ACTIVE, False)
        assert [name for name, *_ in heard if name.startswith("link_")] == []


@pytest.mark.long
def test_a_missing_work_email_is_announced_once(linked: OpenTrain, heard: Heard) -> None:
    maria = linked.hire(work_email="later")
    hourly(linked, hours=3)
    assert sent(heard, "work_email_missing") == [{"grant": maria.grant}]
    linked.release_email(maria)
    hourly(linked, hours=2)
    assert maria.grant.state == AccessGrant.State.GRANTED
    assert len(sent(heard, "work_email_missing")) == 1


class TestHeldRemovals:
    @pytest.mark.long
    def test_they_are_announced_when_there_are_more(self, linked: OpenTrain, heard: Heard) -> None:
        hires = [linked.hire(f"Trainer {number}") for number in range(9)]
        linked.run()
        endpoints.pause(WebhookEndpoint.objects.get())
        counts = []
        for end in (hires[:7], [], hires[7:8], []):
            for each in end:
                linked.end(each)
            hourly(linked)
            counts.append(len(sent(heard, "removals_held")))
        assert counts == [1, 1, 2, 2]
        install = Install.objects.get()
        assert [arguments["install"].removals_held for arguments in sent(heard, "removals_held")] == [7, 8]
        reconcile.confirm_removals(install)
        hourly(linked)
        assert len(sent(heard, "removals_held")) == 2

    def test_so_are_those_of_an_ended_connection(self, linked: OpenTrain, heard: Heard) -> None:
        for number in range(6):
            linked.hire(f"Trainer {number}")
        linked.run()
        linked.disconnect()
        hourly(linked, hours=3)
        assert [each["install"].removals_held for each in sent(heard, "removals_held")] == [6]

    @pytest.mark.long
    def test_so_are_those_of_refused_customers(self, linked: OpenTrain, heard: Heard) -> None:
        linked.hire()
        linked.connect("globex")
        linked.link("g1")
        linked.hire("Ken T.")
        linked.run()
        linked.fail_next(status=401, times=10_000)
        hourly(linked, hours=30)
        held = [arguments["install"] for arguments in sent(heard, "removals_held")]
        assert {(each.tenant, each.removals_held) for each in held} == {("acme", 1), ("globex", 1)}
        assert len(held) == 2


class TestRefusedUsage:
    @pytest.fixture
    def maria(self, linked: OpenTrain) -> Hire:
        return a_trainer(linked)

    def test_a_day_is_announced_once_for_each_total(
        self, maria: Hire, heard: Heard, committing: Committing
    ) -> None:
        def report(seconds: int) -> int:
            usage.record(maria.contract, usage.today(), total_seconds=seconds, worker_id="usr_stranger")
            with committing():
                return usage.report(maria.contract).refused

        assert [report(60), report(60), report(61)] == [1, 0, 1]
        row = DailyUsage.objects.get()
        assert sent(heard, "usage_refused") == [{"usage": row}, {"usage": row}]
        assert "participant" in sent(heard, "usage_refused")[0]["usage"].error

    def test_not_once_more_when_it_is_retried(
        self, linked: OpenTrain, maria: Hire, heard: Heard, committing: Committing
    ) -> None:
        """Such a day might have been in the future for OpenTrain."""
        usage.record(maria.contract, usage.today(), total_seconds=60, worker_id="usr_stranger")
        with committing():
            usage.report(maria.contract)
        row = DailyUsage.objects.get()
        assert row.retry_at
        linked.travel(days=3)
        with committing():
            assert usage.report(maria.contract).refused == 1
        assert sent(heard, "usage_refused") == [{"usage": row}]
