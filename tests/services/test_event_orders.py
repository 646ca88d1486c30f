"""Whatever the order in which events come, and however often: the same people have access in the end."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_opentrain.errors import BusyError, ConnectError, LinkError, UnknownEndpoint
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.sandbox.models import Job
from django_opentrain.services import access, endpoints, inbox, linking, reconcile, sweep
from django_opentrain.testing.environment import committing
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.played import a_customer
from tests.services.conftest import host
from tests.services.test_kills import process
from tests.undone import undone as rolled_back

pytestmark = pytest.mark.django_db

Door = tuple[str, str]
PROJECTS: Final = ("p1", "p2", "p3")
JOBS: Final = ("Boxes", "Masks")


@dataclass(frozen=True)
class Letter:
    """A delivery that is under way: it is signed when it arrives, as a retry is."""

    url: str
    body: bytes

    @property
    def key(self) -> uuid.UUID:
        return uuid.UUID(self.url.rstrip("/").rpartition("/")[2])

    def arrive(self) -> None:
        endpoint = WebhookEndpoint.objects.get(key=self.key)
        stamp = int(timezone.now().timestamp())
        digest = hmac.new(str(endpoint.secret).encode(), b"%d." % stamp + self.body, hashlib.sha256)
        headers = {"X-OpenTrain-Signature": f"t={stamp},v1={digest.hexdigest()}"}
        with suppress(UnknownEndpoint):  # one whose creation was never answered: it is answered 404
            inbox.receive(self.key, headers, self.body)


class Bag:
    """Takes the place of the network: deliveries stay in it until they are brought."""

    def __init__(self, opentrain: OpenTrain) -> None:
        self.letters: list[Letter] = []
        opentrain.sandbox.engine.sender = self

    def __call__(self, url: str, _headers: Mapping[str, str], body: bytes) -> int:
        self.letters.append(Letter(url, body))
        return 200


@contextmanager
def undone() -> Iterator[None]:
    """Whatever the block does to the database or to the host is as before afterwards."""
    inside = set(host.inside)
    with rolled_back():
        yield
    host.inside = inside


# Every order of a few events ------------------------------------------------------------------


def take(opentrain: OpenTrain, bag: Bag) -> list[Letter]:
    """What OpenTrain has sent since the last time."""
    opentrain.deliver()
    letters, bag.letters = bag.letters, []
    return letters


@pytest.fixture
def bag(opentrain: OpenTrain) -> Bag:
    """The customer is connected and has linked two projects to one job."""
    bag = Bag(opentrain)
    a_customer(opentrain)
    for project in ("p1", "p2"):
        opentrain.link(project, job=JOBS[0])
    opentrain.run()
    bag.letters.clear()
    return bag


def bring_in_every_order(letters: list[Letter], *, doors: set[Door]) -> None:
    """Bring the letters in each order, the first of them twice; OpenTrain isn't called in between."""
    for order in itertools.permutations(letters):
        with undone():
            for letter in (*order, order[0]):
                letter.arrive()
                inbox.drain()
            access.converge_due()
            assert host.inside == doors, [letter.body[:60] for letter in order]
            wanted = AccessGrant.objects.wanted().values_list(
                "participant__opentrain_user_id", "link__external_project_id"
            )
            assert set(wanted) == doors
            assert not WebhookEvent.objects.filter(status__in=["PENDING", "FAILED"]).exists()


@pytest.mark.long
def test_an_ended_contract_gives_no_access_in_any_order(opentrain: OpenTrain, bag: Bag) -> None:
    hire = opentrain.hire()
    opentrain.end(hire)
    letters = take(opentrain, bag)
    assert len(letters) == 4, "started and ended, each for two links"
    bring_in_every_order(letters, doors=set())


@pytest.mark.long
def test_a_removed_link_gives_no_access_in_any_order(opentrain: OpenTrain, bag: Bag) -> None:
    hire = opentrain.hire()
    opentrain.fund(hire, hours=10)
    letters = take(opentrain, bag)[:3]
    # Removed on OpenTrain: the site learns of it by the event only.
    install = Install.objects.get()
    gone = ProjectLink.objects.get(external_project_id="p2")
    install.client.delete_project_link(str(gone.opentrain_id))
    letters += take(opentrain, bag)
    assert len(letters) == 4, "started for two links, funded, one link removed"
    bring_in_every_order(letters, doors={(hire.opentrain_user_id, "p1")})


@pytest.mark.long
def test_a_revoked_install_gives_no_access_in_any_order(
    opentrain: OpenTrain, bag: Bag, settings: Any
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REVOKE_GRACE": 0}
    opentrain.hire()
    opentrain.disconnect()
    letters = take(opentrain, bag)
    assert len(letters) == 3, "started for two links; the install revoked"
    for order in itertools.permutations(letters):
        with undone():
            for letter in order:
                letter.arrive()
            sweep.process_due()
            assert host.inside == set()
            assert Install.objects.get().status == Install.Status.REVOKED


# Any history, any order, any failure ------------------------------------------------------------


class AnyHistory(RuleBasedStateMachine):
    """Customers and trainers act, deliveries are repeated, overtaken and lost, OpenTrain and the host fail.

    In the end everything works again: then both sides agree.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        host.__init__()  # type: ignore[misc] # the adapter's module refers to this one object

    @initialize()
    def begin(self) -> None:
        self.stack.enter_context(undone())
        self.opentrain = self.stack.enter_context(OpenTrain())
        self.bag = Bag(self.opentrain)
        self.brought: list[Letter] = []
        self.hires: list[Hire] = []
        self.opentrain.connect()
        for project in PROJECTS[:2]:
            self.opentrain.link(project, job=JOBS[0])

    def install(self) -> Install | None:
        return Install.objects.usable().order_by("-pk").first()

    # What people do ---------------------------------------------------------------------------

    @rule(job=st.sampled_from(JOBS), email=st.sampled_from(["now", "now", "later"]))
    def hire(self, job: str, email: str) -> None:
        self.hires.append(self.opentrain.hire(job=job, work_email=email))
        self.opentrain.deliver()

    @precondition(lambda self: self.hires)
    @rule(dice=st.integers(0, 99))
    def end(self, dice: int) -> None:
        self.opentrain.end(self.hires.pop(dice % len(self.hires)))
        self.opentrain.deliver()

    @precondition(lambda self: self.hires)
    @rule(dice=st.integers(0, 99))
    def join(self, dice: int) -> None:
        self.opentrain.sandbox.add_participant(self.hires[dice % len(self.hires)].id, "One more")

    @rule(project=st.sampled_from(PROJECTS), job=st.sampled_from(JOBS))
    def link_there(self, project: str, job: str) -> None:
        """On OpenTrain, in place of the link that there was."""
        if install := self.install():
            self.give_up(lambda: self.relink(install, project, job))
            self.opentrain.deliver()

    def relink(self, install: Install, project: str, job: str) -> None:
        for info in install.client.list_project_links():
            if info.external_project_id == project:
                install.client.delete_project_link(info.id)
        ids = {each.title: each.id for each in self.opentrain.sandbox.store.all(Job)}
        install.client.create_project_link(external_project_id=project, job_id=ids.get(job))

    @rule()
    def rotate(self) -> None:
        endpoint = WebhookEndpoint.objects.filter(status=WebhookEndpoint.Status.ACTIVE).last()
        if endpoint is not None:
            self.give_up(lambda: endpoints.rotate_secret(endpoint))

    @rule(project=st.sampled_from(PROJECTS), job=st.sampled_from(JOBS))
    def link(self, project: str, job: str) -> None:
        if install := self.install():
            self.give_up(lambda: self.opentrain.link(project, job=job, install=install))

    @rule(project=st.sampled_from(PROJECTS))
    def unlink(self, project: str) -> None:
        for link in ProjectLink.objects.active().filter(external_project_id=project):
            self.give_up(lambda link=link: linking.unlink(link))

    @rule()
    def connect_again(self) -> None:
        self.give_up(self.opentrain.connect)

    @rule()
    def disconnect(self) -> None:
        if install := self.install():
            self.opentrain.disconnect(install)
            self.opentrain.deliver()

    def give_up(self, action: Any) -> None:
        """People see an error, and leave it at that."""
        with suppress(OpenTrainError, LinkError, ConnectError, BusyError), committing():
            action()

    # What the network does ----------------------------------------------------------------------

    @precondition(lambda self: self.bag.letters)
    @rule(dice=st.integers(0, 99), times=st.integers(1, 2))
    def bring(self, dice: int, times: int) -> None:
        letter = self.bag.letters.pop(dice % len(self.bag.letters))
        self.brought.append(letter)
        for _ in range(times):
            letter.arrive()

    @precondition(lambda self: self.brought)
    @rule(dice=st.integers(0, 99))
    def bring_again(self, dice: int) -> None:
        self.brought[dice % len(self.brought)].arrive()

    @precondition(lambda self: self.bag.letters)
    @rule(dice=st.integers(0, 99))
    def lose(self, dice: int) -> None:
        del self.bag.letters[dice % len(self.bag.letters)]

    # What fails ---------------------------------------------------------------------------------

    @rule(call=st.sampled_from(["grant_access", "revoke_access"]))
    def host_fails(self, call: str) -> None:
        host.failing[call] = RuntimeError("a bad day")

    @rule()
    def host_works(self) -> None:
        host.failing.clear()

    @rule(status=st.sampled_from([500, 429, 401, 403]), times=st.integers(1, 3))
    def opentrain_fails(self, status: int, times: int) -> None:
        self.opentrain.fail_next(status, times)

    @rule()
    def answer_is_lost(self) -> None:
        self.opentrain.lose_next_response()

    # What the workers do --------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([0, 1, 20]))
    def sweep(self, minutes: int) -> None:
        self.opentrain.travel(minutes=minutes)
        with committing():
            sweep.run()
        self.opentrain.deliver()

    @rule(statements=st.integers(0, 120))
    def sweep_until_killed(self, statements: int) -> None:
        with process(statements), committing():
            sweep.run()
        self.opentrain.deliver()

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "opentrain"):
                self.end_well()
                self.compare()

    def end_well(self) -> None:
        """Everything works again, what is under way arrives, and time passes."""
        host.failing.clear()
        self.opentrain.sandbox.clear_faults()
        for letter in self.bag.letters:
            letter.arrive()
        for _ in range(3):
            self.opentrain.travel(hours=2)
            reconcile.request_all()
            self.opentrain.run()
        for letter in self.bag.letters:
            letter.arrive()
        self.opentrain.run()
        # What no event can say any more is acted on after a day.
        self.opentrain.travel(hours=25)
        reconcile.request_all()
        self.opentrain.run()
        # Unusually many removals wait for a person.
        for install in Install.objects.filter(removals_held__gt=0):
            reconcile.confirm_removals(install)
        self.opentrain.run()

    def compare(self) -> None:
        """Who is inside is who should be by what OpenTrain says, and nothing is left to do."""
        assert host.inside == set(self.wanted())
        ids = Contract.objects.values_list("opentrain_id", flat=True)
        assert len(ids) == len(set(ids))
        assert not AccessGrant.objects.filter(state=AccessGrant.State.FAILED).exists()
        assert not WebhookEvent.objects.filter(status__in=["PENDING", "FAILED"]).exists()

    def wanted(self) -> Iterator[Door]:
        install = self.install()
        if install is None:
            return
        for link in install.client.list_project_links():
            for contract in install.client.list_contracts(project_link_id=link.id, status="active"):
                for person in install.client.list_participants(contract.id):
                    if person.work_email:
                        yield person.opentrain_user_id, link.external_project_id


@pytest.mark.timeout(400)
@pytest.mark.slow
def test_any_history_in_any_order_with_any_failure() -> None:
    run_state_machine_as_test(
        AnyHistory,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
