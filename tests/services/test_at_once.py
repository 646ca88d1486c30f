"""Workers and customers at once, on databases with row locks."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from django_opentrain import signals
from django_opentrain.clients import build_client
from django_opentrain.conflicts import retried
from django_opentrain.errors import LinkConflict, TokenRefused
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
    WorkEntry,
)
from django_opentrain.platform.resources import BudgetInfo, ContractInfo
from django_opentrain.platform.signing import sign
from django_opentrain.services import (
    access,
    connect,
    endpoints,
    inbox,
    linking,
    purge,
    reconcile,
    sweep,
    usage,
    work,
)
from django_opentrain.services.access import contracts, convergence
from django_opentrain.services.connect import reconnect, tokens
from django_opentrain.services.inbox import handlers
from django_opentrain.services.purge import retention
from django_opentrain.services.usage import runs
from django_opentrain.services.workers.locks import install_lock, lock
from django_opentrain.testing.kit import OpenTrain
from tests.factories import (
    make_contract,
    make_endpoint,
    make_event,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_user,
)
from tests.services.conftest import Host, RecordingAdapter
from tests.settings import isolation_options

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has one writer at a time"),
]


def in_a_thread(work: Callable[[], object], *, after: threading.Event, atomic: bool = True) -> Thread:
    """Start it; it begins with its work once ``after`` is set."""
    thread = Thread(work, after, atomic=atomic)
    thread.start()
    return thread


class Thread(threading.Thread):
    """Keeps its error, and leaves no connection open."""

    def __init__(self, work: Callable[[], object], after: threading.Event, *, atomic: bool = True) -> None:
        super().__init__()
        self.work, self.after = work, after
        self.atomic = atomic
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            assert self.after.wait(10)
            retried(transaction.atomic(self.work) if self.atomic else self.work)()
        except Exception as error:  # noqa: BLE001 - a thread's error is the test's
            self.error = error
        finally:
            connections.close_all()


def test_a_reconnect_while_access_is_given_is_no_deadlock() -> None:
    """Convergence locks the trainer, then writes the grant: a reconnect has to keep to that order."""
    old, new = make_install(organization_id="org"), make_install(organization_id="org")
    link, trainer = make_link(old), make_participant(old)
    grant = make_grant(make_contract(old, [link]), link, trainer)
    locked = threading.Event()
    other = in_a_thread(lambda: reconnect.from_predecessors(new), after=locked)
    with transaction.atomic():
        lock(Participant.objects.filter(pk=trainer.pk))
        locked.set()
        other.join(1)  # by then it waits for the trainer, and must hold nothing that is needed here
        AccessGrant.objects.filter(pk=grant.pk).update(attempts=1)
    other.join(10)
    assert other.error is None
    grant.refresh_from_db()
    assert (grant.attempts, grant.link.install, grant.participant.install) == (1, new, new)


def test_unlinking_while_an_event_takes_effect_is_no_deadlock() -> None:
    """An event locks the install, then writes grants: unlinking has to keep to that order."""
    install = make_install(status=Install.Status.REVOKED)
    link = make_link(install)
    grant = make_grant(make_contract(install, [link]), link, make_participant(install))
    locked = threading.Event()
    other = in_a_thread(lambda: linking.unlink(link), after=locked, atomic=False)
    with install_lock(install):
        locked.set()
        other.join(1)
        AccessGrant.objects.filter(pk=grant.pk).update(attempts=1)
    other.join(10)
    assert other.error is None
    grant.refresh_from_db()
    assert (grant.attempts, grant.desired) == (0, AccessGrant.Desired.REVOKED)


def test_a_reconnect_while_keys_are_rotated_is_no_deadlock(opentrain: OpenTrain) -> None:
    """Rotation locks installs in the order of their keys: a reconnect has to keep to that order."""
    old, user = opentrain.connect("acme"), make_user()
    approval = opentrain.sandbox.approve(organization_id=old.organization_id)
    waiting = connect.start_without_return(user, "acme")
    locked = threading.Event()
    other = in_a_thread(lambda: connect.capture_token(waiting, approval.token), after=locked, atomic=False)
    with transaction.atomic():
        lock(Install.objects.filter(pk=old.pk))
        locked.set()
        other.join(3)
        lock(Install.objects.filter(pk=waiting.pk))
    other.join(10)
    assert other.error is None
    old.refresh_from_db()
    assert old.superseded_by == waiting


def test_who_reconnects_at_the_end_of_the_grace_keeps_the_access() -> None:
    long_ago = timezone.now() - timedelta(days=1)
    old = make_install(organization_id="org", status=Install.Status.REVOKED, revoked_at=long_ago)
    new = make_install(organization_id="org")
    link = make_link(old)
    grant = make_grant(make_contract(old, [link]), link, make_participant(old))
    taken_over = threading.Event()
    other = in_a_thread(reconnect.end_abandoned, after=taken_over)
    with transaction.atomic():
        reconnect.from_predecessors(new)
        taken_over.set()
        other.join(1)
    other.join(10)
    assert other.error is None
    grant.refresh_from_db()
    assert (grant.desired, grant.contract.install) == (AccessGrant.Desired.GRANTED, new)


def test_a_token_that_comes_at_last_is_not_purged(opentrain: OpenTrain) -> None:
    approval = opentrain.sandbox.approve()
    waiting = connect.start_without_return(make_user(), "acme")
    Install.objects.update(created_at=timezone.now() - timedelta(days=8))
    info, stored = build_client(approval.token).get_install(), threading.Event()
    other = Thread(purge.run, stored, atomic=False)
    other.start()
    with transaction.atomic():
        tokens._store(waiting, info, approval.token, frozenset())
        stored.set()
        other.join(1)
    other.join(10)
    assert other.error is None
    assert Install.objects.get().status == Install.Status.ACTIVE


def test_an_end_at_the_moment_at_which_an_attempt_begins_is_not_put_off(
    site: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install = make_install()
    link, trainer = make_link(install, external_project_id="p1"), make_participant(install)
    contract = make_contract(install, [link])
    grant = make_grant(contract, link, trainer, state=AccessGrant.State.PENDING)
    read, count = threading.Event(), convergence._count
    other = in_a_thread(lambda: contracts.end(contract, "event"), after=read)

    def late(claim: convergence.Claim) -> None:
        read.set()
        other.join(10)
        count(claim)

    monkeypatch.setattr(convergence, "_count", late)
    access.converge(grant)
    access.converge_due()
    assert other.error is None
    grant.refresh_from_db()
    assert (grant.desired, grant.state) == (AccessGrant.Desired.REVOKED, AccessGrant.State.REVOKED)
    assert site.inside == set()
    assert "did not finish" not in caplog.text


@pytest.mark.parametrize("fails", [False, True])
def test_an_end_while_the_host_is_giving_access_is_not_forgotten(
    site: Host, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """The host may take its time, and an event is not to wait for it."""
    install = make_install()
    link, trainer = make_link(install, external_project_id="p1"), make_participant(install)
    contract = make_contract(install, [link])
    grant = make_grant(contract, link, trainer, state=AccessGrant.State.PENDING, attempts=9)
    giving = threading.Event()
    other = in_a_thread(lambda: contracts.end(contract, "event"), after=giving)
    give = RecordingAdapter.grant_access

    def slowly(adapter: RecordingAdapter, row: AccessGrant) -> str:
        giving.set()
        other.join(10)
        if fails:
            raise RuntimeError("a bad day")
        return give(adapter, row)

    monkeypatch.setattr(RecordingAdapter, "grant_access", slowly)
    access.converge(grant)
    assert (other.is_alive(), other.error) == (False, None)
    grant.refresh_from_db()
    assert (grant.desired, grant.cause) == (AccessGrant.Desired.REVOKED, "event")
    assert grant.next_attempt_at is None, "the removal is due at once"
    access.converge_due()
    grant.refresh_from_db()
    assert (grant.state, site.inside) == (AccessGrant.State.REVOKED, set())


def test_of_two_installs_of_one_customer_none_shuts_out_whom_the_other_lets_in(
    site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have linked the same project. A removal may take its time."""
    rows = []
    for state in (AccessGrant.State.GRANTED, AccessGrant.State.PENDING):
        install = make_install(status=Install.Status.ACTIVE)
        link = make_link(install, external_project_id="p1")
        trainer = make_participant(install, opentrain_user_id="usr_maria")
        rows.append(make_grant(make_contract(install, [link]), link, trainer, state=state))
    going, coming = rows
    AccessGrant.objects.update(desired=AccessGrant.Desired.REVOKED)
    site.inside.add(("usr_maria", "p1"))
    removing, revoke = threading.Event(), RecordingAdapter.revoke_access

    def let_in() -> None:
        AccessGrant.objects.filter(pk=coming.pk).update(desired=AccessGrant.Desired.GRANTED)
        access.converge(AccessGrant.objects.get(pk=coming.pk))

    other = Thread(let_in, removing, atomic=False)
    other.start()

    def slowly(adapter: RecordingAdapter, row: AccessGrant) -> None:
        removing.set()
        other.join(10)
        revoke(adapter, row)

    with monkeypatch.context() as patch:
        patch.setattr(RecordingAdapter, "revoke_access", slowly)
        access.converge(going)
    assert (other.is_alive(), other.error) == (False, None)
    access.converge_due()
    assert site.inside == {("usr_maria", "p1")}
    coming.refresh_from_db()
    assert coming.state == AccessGrant.State.GRANTED


# Several workers at the same thing -------------------------------------------------------------

WORKERS = 4


def at_once(work: Callable[[], object]) -> list[Exception]:
    """Let several workers do it at the same time; returns what they raised."""
    begin = threading.Event()
    workers = [Thread(work, begin, atomic=False) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    begin.set()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    return [worker.error for worker in workers if worker.error is not None]


def calls(opentrain: OpenTrain, wanted: str) -> int:
    return sum(1 for call in opentrain.sandbox.calls if re.fullmatch(wanted, f"{call.method} {call.path}"))


def test_a_delivery_that_comes_several_times_at_once_is_stored_once(linked: OpenTrain) -> None:
    endpoint, body = WebhookEndpoint.objects.get(), b'{"id": "one", "type": "contract.started"}'
    signature = sign(str(endpoint.secret), body, int(timezone.now().timestamp()))
    headers = {"X-OpenTrain-Signature": signature}
    receipts: list[inbox.Receipt] = []
    assert at_once(lambda: receipts.append(inbox.receive(endpoint.key, headers, body))) == []
    assert sorted(receipt.duplicate for receipt in receipts) == [False, True, True, True]
    assert WebhookEvent.objects.filter(event_id="one").count() == 1


def test_an_event_takes_effect_once(linked: OpenTrain) -> None:
    linked.hire()
    linked.deliver()
    heard: list[object] = []

    def hear(event: WebhookEvent, **_news: object) -> None:
        heard.append(event.pk)

    signals.event_received.connect(hear)
    try:
        assert at_once(inbox.drain) == []
    finally:
        signals.event_received.disconnect(hear)
    assert len(heard) == 1
    assert AccessGrant.objects.count() == 1


def test_a_customer_whom_another_worker_serves_is_left_to_that_one() -> None:
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("MySQL before 8, MariaDB before 10.6")
    installs = [make_install("acme"), make_install("globex")]
    for install in installs:
        make_event(make_endpoint(install), type="contract.ended", resource_id="ctr_1")
    begun, drained = threading.Event(), threading.Event()
    done: list[int] = []

    def drain() -> None:
        done.append(inbox.drain())
        drained.set()

    other = in_a_thread(drain, after=begun, atomic=False)
    with install_lock(installs[0]):
        begun.set()
        assert drained.wait(10), "it doesn't wait for the lock"
    other.join(10)
    assert (other.error, done) == (None, [1])
    assert inbox.drain() == 1


def test_a_budget_that_was_fetched_while_a_late_event_is_processed_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer with the state that is known locks nothing."""
    endpoint, long_ago = make_endpoint(make_install()), timezone.now() - timedelta(days=1)
    contract = make_contract(endpoint.install, budget_updated_at=long_ago, funded_volume=1)
    kind = "milestone.budget_depleted"
    body = {
        "type": kind,
        "id": "7",
        "createdAt": (timezone.now() - timedelta(hours=1)).isoformat(),
        "data": {"contractId": contract.opentrain_id, "budget": {"state": "DEPLETED", "fundedVolume": 1}},
    }
    event = make_event(endpoint, kind, body=json.dumps(body).encode())
    answer = BudgetInfo(contract_id="", payment_type="", state="OK", funded_volume=Decimal(9))
    read, usual = threading.Event(), handlers.HANDLERS[kind]
    other = in_a_thread(
        lambda: contracts.save_budget(contract, answer, asked_at=timezone.now()), after=read, atomic=False
    )

    def and_fetch(context: handlers.Context) -> str:
        ignored = usual(context)
        read.set()
        other.join(10)
        return ignored

    monkeypatch.setattr(handlers, "HANDLERS", {**handlers.HANDLERS, kind: and_fetch})
    assert inbox.process(event).status == WebhookEvent.Status.PROCESSED
    assert other.error is None
    contract.refresh_from_db()
    assert (contract.budget_state, contract.funded_volume) == ("OK", Decimal(9))


def test_what_was_erased_since_it_was_read_is_not_written_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure doesn't wait for the customer's events."""
    endpoint = make_endpoint(make_install())
    trainer = make_participant(endpoint.install, opentrain_user_id="usr_1")
    person = {"opentrainUserId": "usr_1", "displayName": "Maria T.", "workEmail": "new@opentrain.work"}
    event = make_event(endpoint, "contract.ended", {"freelancer": person}, resource_id="ctr_1")
    end, read = handlers.HANDLERS["contract.ended"], threading.Event()
    other = in_a_thread(lambda: retention.anonymize(Participant.objects.all()), after=read)

    def and_erase(context: handlers.Context) -> str:
        context.unit.participants.get("usr_1")
        read.set()
        other.join(10)
        return end(context)

    monkeypatch.setattr(handlers, "HANDLERS", {**handlers.HANDLERS, "contract.ended": and_erase})
    assert inbox.process(event).status == WebhookEvent.Status.PROCESSED
    assert other.error is None
    trainer.refresh_from_db()
    assert (trainer.display_name, trainer.work_email) == ("", None)


@pytest.mark.parametrize("kind", ["SUBMITTED", "DELETED"])
@pytest.mark.parametrize(
    "atomic",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                "TEST_ISOLATION" in os.environ, reason="A host repeats such requests, or sees old rows"
            ),
        ),
    ],
)
def test_two_tabs_finish_a_task_once(linked: OpenTrain, kind: str, atomic: bool) -> None:
    """And delete the last two objects of it at once: one of both is the last."""
    maria = linked.hire()
    linked.run()
    ref, other_can_go = maria.grant.host_user_ref, threading.Event()

    def act(kind: str, it: str) -> bool:
        tasks = 1 if kind == "SUBMITTED" else work.TAKE_BACK
        return work.observe(ref, "p1", kind, object_id=it, task_id="t1", seconds=1, tasks=tasks)

    if kind == "DELETED":
        act("SUBMITTED", "a1")
        act("SUBMITTED", "a2")
    before = WorkEntry.objects.count()
    other = Thread(lambda: act(kind, "a2"), other_can_go, atomic=atomic)
    other.start()
    with transaction.atomic():
        assert act(kind, "a1")
        other_can_go.set()
        other.join(0.5)
    other.join()
    assert other.error is None
    entries = list(WorkEntry.objects.order_by("pk"))
    assert len(entries) == before + 2, "the time of both"
    assert sum(entry.tasks for entry in entries) == (kind == "SUBMITTED")


def test_a_grant_is_given_once(linked: OpenTrain, site: Host) -> None:
    linked.hire()
    linked.deliver()
    inbox.drain()
    assert at_once(access.converge_due) == []
    assert [name for name, *_ in site.calls] == ["grant_access"]


def test_usage_is_reported_once(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.run()
    usage.record(maria.contract, usage.today(), total_seconds=60)
    assert at_once(runs.run_due) == []
    assert calls(linked, "POST /contracts/.*/usage") == 1


def test_an_endpoint_is_made_once(linked: OpenTrain) -> None:
    WebhookEndpoint.objects.all().delete()
    assert at_once(endpoints.check_all) == []
    assert len(Install.objects.get().client.list_webhook_endpoints()) == 1
    assert WebhookEndpoint.objects.live().count() == 1


def test_an_install_is_reconciled_by_one_at_a_time(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.run()
    Contract.objects.all().delete()
    reconcile.request_all()
    assert at_once(reconcile.run_due) == []
    assert Contract.objects.count() == 1
    assert maria.grants.count() == 1


def test_a_project_is_linked_once(linked: OpenTrain) -> None:
    job = str(ProjectLink.objects.get().job_id)
    errors = at_once(lambda: linking.link(Install.objects.get(), "p2", job))
    assert [type(error) for error in errors] == [LinkConflict] * (WORKERS - 1)
    there = Install.objects.get().client.list_project_links()
    assert [info.external_project_id for info in there].count("p2") == 1


def test_a_project_is_linked_through_one_connection(opentrain: OpenTrain) -> None:
    """A customer with several OpenTrain organizations."""
    sandbox, user, waiting = opentrain.sandbox, make_user(), []
    for number in range(WORKERS):
        organization = sandbox.create_organization(f"Acme {number}")
        token = sandbox.approve(organization_id=organization.id).token
        install = connect.capture_token(connect.start_without_return(user, "acme"), token)
        waiting.append((install, "p2", sandbox.create_job("Label", organization_id=organization.id).id))
    errors = at_once(lambda: linking.link(*waiting.pop()))
    assert [type(error) for error in errors] == [LinkConflict] * (WORKERS - 1)
    assert ProjectLink.objects.get().status == ProjectLink.Status.ACTIVE


def test_a_token_makes_one_install(opentrain: OpenTrain) -> None:
    organization = opentrain.sandbox.create_organization("acme")
    approval = opentrain.sandbox.approve(organization_id=organization.id)
    user = make_user()

    def paste() -> None:
        connect.capture_token(connect.start_without_return(user, "acme"), approval.token)

    assert {type(error) for error in at_once(paste)} <= {TokenRefused}
    assert Install.objects.usable().get().opentrain_id == approval.install.id


# Isolation levels under which the database undoes transactions and statements ---------------------


@pytest.fixture(params=["repeatable read", "serializable"])
def isolation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every transaction and single statement of every thread has this isolation level."""
    options = connection.settings_dict["OPTIONS"]
    connection.settings_dict["OPTIONS"] = options | isolation_options(request.param)
    connection.close()
    yield
    connection.settings_dict["OPTIONS"] = options
    connection.close()


def hire_and_end(endpoint: WebhookEndpoint, link: ProjectLink, number: int) -> None:
    """Two events, which say all that there is to say."""
    for status, event_type in (("active", "contract.started"), ("ended", "contract.ended")):
        data = {
            "contract": {"id": f"ctr_{number}", "status": status},
            "freelancer": {
                "opentrainUserId": f"usr_{number % 4}",
                "workEmail": f"{number % 4}@opentrain.work",
            },
            "projectLink": {"id": link.opentrain_id, "externalProjectId": link.external_project_id},
        }
        make_event(
            endpoint,
            type=event_type,
            event_id=f"{number:03}-{status}",
            resource_id=f"ctr_{number}",
            data=data,
        )


def test_what_the_database_undoes_is_done_again_at_once(
    isolation: None, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    install = make_install()
    endpoint, link = make_endpoint(install), make_link(install, external_project_id="p1")
    for number in range(12):
        hire_and_end(endpoint, link, number)
    assert at_once(sweep.process_due) == []
    sweep.process_due()
    assert set(WebhookEvent.objects.values_list("status", "attempts")) == {("PROCESSED", 1)}
    assert set(AccessGrant.objects.values_list("desired", "state")) == {("REVOKED", "REVOKED")}
    assert site.inside == set()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_what_was_created_while_a_worker_waited_is_seen(isolation: None) -> None:
    """Its transaction began before: it can't see the row, nor create it."""
    install, info = make_install(), ContractInfo(id="ctr_1", title="Boxes")
    locked = threading.Event()
    other = Thread(lambda: contracts.save(install, info), locked, atomic=False)
    other.start()
    with install_lock(install):
        locked.set()
        other.join(1)
        contracts.save(install, ContractInfo(id="ctr_1", title="Cubes"))
    other.join(10)
    assert other.error is None
    assert Contract.objects.get().title == "Boxes"


def test_sixteen_writers_to_one_day_lose_nothing() -> None:
    contract = make_contract(make_install())
    begin = threading.Event()

    def write() -> None:
        for _second in range(20):
            usage.add(contract, usage.today(), total_seconds=1, labels_completed=2)

    writers = [in_a_thread(write, after=begin, atomic=False) for _writer in range(16)]
    begin.set()
    for each in writers:
        each.join()
    assert [each.error for each in writers] == [None] * 16
    row = contract.usage.get()
    assert (row.total_seconds, row.labels_completed, row.revision) == (320, 640, 320)
