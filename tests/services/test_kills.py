"""Killed between any two statements, and started again by another process: the same result in the end.

A process that dies runs nothing any more: no rollback of its own, no ``finally``. So a statement that is not sent is
the last there was, and what was committed before it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection, transaction

from django_opentrain.adapters import DayUsage
from django_opentrain.errors import LinkError
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, ProjectLink, WebhookEndpoint
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.services import connect, endpoints, linking, reconcile, sweep, usage
from django_opentrain.testing.environment import committing
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host, host
from tests.undone import undone

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

#: Places at which each piece of work is cut off, spread over its statements.
PLACES = 9
Act = Callable[[], object]


class Killed(BaseException):
    """The process is gone."""


class Process:
    """Runs until it has sent so many statements."""

    def __init__(self, statements: float) -> None:
        self.left = statements
        self.sent = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            return execute(sql, params, many, context)
        if self.sent >= self.left:
            raise Killed
        self.sent += 1
        return execute(sql, params, many, context)


@contextmanager
def process(statements: float = float("inf")) -> Iterator[Process]:
    """What is in the block is done by a process that may be killed; what it left for after the commit with it."""
    running, waiting = Process(statements), len(connection.run_on_commit)
    try:
        with connection.execute_wrapper(running):
            yield running
    except Killed:
        del connection.run_on_commit[waiting:]
        # A save outside of any transaction has one of its own, without a savepoint in the test's.
        transaction.set_rollback(False)


class Scene:
    """A customer with a linked project and two trainers who have worked today."""

    def __init__(self, opentrain: OpenTrain) -> None:
        self.opentrain = opentrain
        #: What people do once more when they have seen it fail.
        self.retry: Act = lambda: None
        opentrain.connect()
        opentrain.link("p1", job="Boxes")
        self.maria, self.ken = opentrain.hire("Maria S."), opentrain.hire("Ken T.")
        opentrain.run()
        host.days = [DayUsage(work_date=opentrain.today, total_seconds=60)]

    @property
    def install(self) -> Install:
        return Install.objects.usable().get()

    # Each says what has happened, and returns the work that is cut off ----------------------------

    def hire_and_end(self) -> Act:
        self.opentrain.end(self.maria)
        self.opentrain.hire("New")
        self.opentrain.deliver()
        return sweep.run

    def find_out(self) -> Act:
        """No event arrived."""
        self.opentrain.end(self.maria)
        self.opentrain.hire("New")
        self.install.client.create_project_link(external_project_id="p2", job_id=self.maria.contract.job_id)
        reconcile.request_all()
        return sweep.run

    def link(self) -> Act:
        install, job = self.install, self.maria.contract.job_id
        return lambda: linking.link(install, "p2", job_id=job)

    def unlink(self) -> Act:
        link = ProjectLink.objects.get()
        return lambda: linking.unlink(link)

    def rotate(self) -> Act:
        endpoint = WebhookEndpoint.objects.get()
        return lambda: endpoints.rotate_secret(endpoint)

    def connect_again(self) -> Act:
        approval = self.opentrain.sandbox.approve(organization_id=self.install.organization_id)
        pending = Install.objects.create(tenant="acme", expected_id=approval.install.id)

        def act() -> None:
            with committing():
                connect.capture_token(pending, approval.token)
            sweep.run()

        self.retry = act
        return act

    def report(self) -> Act:
        self.opentrain.travel(days=2)
        for number in range(3):
            usage.record(self.ken.contract, self.opentrain.today, total_seconds=60 * number, worker_id="")
        return sweep.run

    # And in the end -------------------------------------------------------------------------------

    def settle(self) -> None:
        self.opentrain.travel(minutes=6)  # a lease outlives its holder by five
        self.retry()
        for _ in range(2):
            self.opentrain.travel(hours=2)
            reconcile.request_all()
            self.opentrain.run()
        with committing():
            endpoints.check_all()

    def compare(self) -> None:
        install = self.install
        client = install.client
        active = client.list_contracts(status=catalog.CONTRACT_ACTIVE)
        links = {info.id: info.external_project_id for info in client.list_project_links()}
        assert host.inside == {
            (person.opentrain_user_id, links[link])
            for contract in active
            for person in client.list_participants(contract.id)
            for link in contract.project_link_ids
        }
        here = ProjectLink.objects.live().filter(status=ProjectLink.Status.ACTIVE, install=install)
        assert dict(here.values_list("opentrain_id", "external_project_id")) == links
        assert ProjectLink.objects.live().count() == len(links)
        there = {info.id for info in client.list_webhook_endpoints()}
        assert there == set(WebhookEndpoint.objects.live().values_list("opentrain_id", flat=True))
        assert WebhookEndpoint.objects.filter(status=WebhookEndpoint.Status.ACTIVE).count() == 1
        ids = Contract.objects.values_list("opentrain_id", flat=True)
        assert len(ids) == len(set(ids))
        assert not AccessGrant.objects.unsettled().exists()
        assert not DailyUsage.objects.exclude(status=DailyUsage.Status.REPORTED).exists()


SCENES = [
    Scene.hire_and_end,
    Scene.find_out,
    Scene.link,
    Scene.unlink,
    Scene.rotate,
    Scene.connect_again,
    Scene.report,
]


@pytest.mark.parametrize("prepare", SCENES, ids=lambda scene: scene.__name__)
def test_killed_anywhere(prepare: Callable[[Scene], Act], site: Host) -> None:
    whole = cut_off(prepare, float("inf"))
    for place in range(0, whole, max(1, whole // PLACES)):
        cut_off(prepare, place)


def cut_off(prepare: Callable[[Scene], Act], statements: float) -> int:
    """Play the scene, kill the work after so many statements, and see what comes of it; how many it has sent."""
    host.__init__()  # type: ignore[misc] # the adapter's module refers to this one object
    with undone(), OpenTrain() as opentrain:
        scene = Scene(opentrain)
        act = prepare(scene)
        with process(statements) as running, suppress(OpenTrainError, LinkError):
            act()
        scene.settle()
        scene.compare()
    return running.sent
