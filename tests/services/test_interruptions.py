"""A poll under way, and then something happens: what the poll has seen is old, and must not undo it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from django_opentrain.errors import LeaseLostError
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.services import access, connect, inbox, linking, reconcile
from django_opentrain.testing.environment import committing
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host, host
from tests.undone import undone

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

#: More calls than a run makes.
MANY = 40


class Scene:
    """Two linked projects, three trainers, and many changes without an event."""

    def __init__(self, opentrain: OpenTrain) -> None:
        self.opentrain = opentrain
        opentrain.connect()
        for project, job in (("p1", "Boxes"), ("p2", "Masks")):
            opentrain.link(project, job=job)
        self.ended, self.stays, self.leaves = (
            opentrain.hire(name, job="Boxes") for name in ("Al", "Bo", "Cy")
        )
        opentrain.hire("Di", job="Masks")
        opentrain.run()
        with self.lost_events():
            opentrain.end(self.ended)
            self.new = opentrain.hire("Ed", job="Boxes")
            self.remote.create_project_link(external_project_id="p3", job_id=self.stays.contract.job_id)
            gone = ProjectLink.objects.get(external_project_id="p2")
            self.remote.delete_project_link(str(gone.opentrain_id))
        reconcile.request_all()

    def lost_events(self) -> Any:
        return Lost(self.opentrain)

    @property
    def remote(self) -> PlatformClient:
        return Install.objects.usable().get().client

    def deliver_and_process(self) -> None:
        """The events arrive, and other workers do what follows."""
        with committing():
            self.opentrain.deliver()
            inbox.drain()
            access.converge_due()

    # What may happen during a call ----------------------------------------------------------------

    def end(self) -> None:
        for hire in (self.leaves, self.new):
            self.opentrain.end(hire)

    def hire(self) -> None:
        self.opentrain.hire("Flo", job="Boxes")

    def unlink_there(self) -> None:
        for info in self.remote.list_project_links():
            self.remote.delete_project_link(info.id)

    def link_to_another_job_there(self) -> None:
        job = self.opentrain.sandbox.create_job(
            "Other", organization_id=Install.objects.get().organization_id
        )
        for info in self.remote.list_project_links():
            if info.external_project_id == "p1":
                self.remote.delete_project_link(info.id)
        self.remote.create_project_link(external_project_id="p1", job_id=job.id)
        self.opentrain.hire("Gus", job=job.id)

    def unlink_here(self) -> None:
        for link in ProjectLink.objects.active():
            linking.unlink(link)

    def disconnect_there(self) -> None:
        self.opentrain.disconnect()

    def disconnect_here(self) -> None:
        connect.disconnect(Install.objects.get())

    def connect_again(self) -> None:
        install = Install.objects.get()
        approval = self.opentrain.sandbox.approve(organization_id=install.organization_id)
        pending = Install.objects.create(tenant=install.tenant, expected_id=approval.install.id)
        with committing():
            connect.capture_token(pending, approval.token)

    # And in the end -------------------------------------------------------------------------------

    def settle(self) -> None:
        for _ in range(2):
            self.opentrain.travel(hours=2)
            reconcile.request_all()
            for install in Install.objects.filter(removals_held__gt=0):
                reconcile.confirm_removals(install)
            self.opentrain.run()

    def compare(self) -> None:
        """Both sides agree, and nothing is left over of what was true in between."""
        assert host.inside == set(self.wanted())
        assert not AccessGrant.objects.filter(state=AccessGrant.State.FAILED).exists()
        assert not WebhookEvent.objects.filter(status__in=["PENDING", "FAILED"]).exists()
        for install in Install.objects.usable():
            there = {(info.id, info.external_project_id) for info in install.client.list_project_links()}
            here = ProjectLink.objects.live().filter(install=install)
            assert set(here.values_list("opentrain_id", "external_project_id")) == there
        taken_over = Install.objects.exclude(superseded_by=None)
        current = (ProjectLink.objects.live(), WebhookEndpoint.objects.live())
        for rows in (Contract.objects.all(), Participant.objects.all(), *current):
            assert not rows.filter(install__in=taken_over).exists(), rows.model
        ids = Contract.objects.values_list("opentrain_id", flat=True)
        assert len(ids) == len(set(ids))

    def wanted(self) -> Iterator[tuple[str, str]]:
        for install in Install.objects.usable():
            client = install.client
            for link in client.list_project_links():
                for contract in client.list_contracts(
                    project_link_id=link.id, status=catalog.CONTRACT_ACTIVE
                ):
                    for person in client.list_participants(contract.id):
                        yield person.opentrain_user_id, link.external_project_id


class Lost:
    """Within the block OpenTrain's deliveries are answered, and lost."""

    def __init__(self, opentrain: OpenTrain) -> None:
        self.opentrain = opentrain

    def __enter__(self) -> None:
        self.sender = self.opentrain.sandbox.engine.sender
        self.opentrain.sandbox.engine.sender = self.lose

    def __exit__(self, *_error: object) -> None:
        self.opentrain.deliver()
        self.opentrain.sandbox.engine.sender = self.sender

    def lose(self, _url: str, _headers: Mapping[str, str], _body: bytes) -> int:
        return 200


DURING_A_CALL = [
    Scene.end,
    Scene.hire,
    Scene.unlink_there,
    Scene.link_to_another_job_there,
    Scene.unlink_here,
    Scene.disconnect_there,
    Scene.disconnect_here,
    Scene.connect_again,
]


@pytest.mark.parametrize("act", DURING_A_CALL, ids=lambda act: act.__name__)
def test_what_happens_during_a_poll_stands(
    act: Callable[[Scene], None], site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of its calls to OpenTrain in turn: it has the answer, and has done nothing about it yet."""
    for number in range(1, MANY):
        site.__init__()  # type: ignore[misc] # the adapter's module refers to this one object
        with undone(), OpenTrain() as opentrain, monkeypatch.context() as patch:
            scene = Scene(opentrain)
            happened = interrupt(patch, number, scene, act)
            with suppress(OpenTrainError, LeaseLostError), committing():
                reconcile.run_due()
            patch.undo()
            scene.settle()
            scene.compare()
        if not happened:
            return
    pytest.fail("A run makes more calls than that.")


def interrupt(
    patch: pytest.MonkeyPatch, number: int, scene: Scene, act: Callable[[Scene], None]
) -> list[bool]:
    """Let ``act`` happen after the answer to that call; whether it did is in the list."""
    perform = PlatformClient._perform
    calls: list[Any] = []
    happened: list[bool] = []

    def and_then(client: PlatformClient, *arguments: Any) -> Any:
        answer = perform(client, *arguments)
        calls.append(arguments)
        if len(calls) == number and not happened:
            happened.append(True)
            act(scene)
            scene.deliver_and_process()
        return answer

    patch.setattr(PlatformClient, "_perform", and_then)
    return happened
