"""An attempt is recorded before the host is called: one that ends its process delays nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_opentrain.models import AccessGrant, Contract
from django_opentrain.services import access, reconcile, sweep
from django_opentrain.services.access import contracts, grants, participants
from django_opentrain.services.access.convergence import _try
from django_opentrain.services.workers import locks
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract
from tests.services.conftest import Host, RecordingAdapter
from tests.services.test_kills import Killed, Process, process

pytestmark = pytest.mark.django_db

State = AccessGrant.State


class Lethal:
    """Host code that ends its process, so that no further statement is sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, *, trainer: str = "") -> None:
        self.running: Process | None = None
        self.deaths = 0
        call = getattr(RecordingAdapter, method)

        def lethal(adapter: RecordingAdapter, *arguments: Any) -> object:
            if self.running is None or trainer not in ("", self._trainer(arguments[0])):
                return call(adapter, *arguments)
            self.deaths += 1
            self.running.left = self.running.sent
            raise Killed

        monkeypatch.setattr(RecordingAdapter, method, lethal)

    @staticmethod
    def _trainer(subject: object) -> str:
        return subject.participant.opentrain_user_id if isinstance(subject, AccessGrant) else ""

    def run(self, work: Callable[[], object]) -> None:
        """Let a worker do ``work`` until it is done, or dead."""
        with process() as self.running:
            work()
        self.running = None


@pytest.mark.parametrize("method", ["grant_access", "revoke_access"])
def test_a_killed_attempt_backs_off_and_the_others_go_on(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    if method == "revoke_access":
        linked.run()
        linked.end(maria)
        linked.end(ken)
    lethal = Lethal(monkeypatch, method, trainer=maria.opentrain_user_id)
    linked.deliver()
    lethal.run(sweep.run)
    assert lethal.deaths == 1
    assert (maria.grant.attempts, maria.grant.attempt_began_at is not None) == (1, True)
    lethal.run(sweep.run)
    assert lethal.deaths == 1, "it waits for its turn"
    assert ken.grant.state == ken.grant.desired
    linked.travel(seconds=locks.CALL_LEASE.total_seconds() + 1)
    lethal.run(sweep.run)
    assert (lethal.deaths, maria.grant.attempts, maria.grant.state) == (2, 2, State.FAILED)
    assert "did not finish" in maria.grant.last_error
    linked.travel(hours=1)
    linked.run()
    assert (maria.grant.state, maria.grant.attempts, maria.grant.last_error) == (maria.grant.desired, 0, "")


def test_a_killed_look_for_the_project_holds_up_nobody_else(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = linked.hire("Maria S.")
    linked.deliver()
    lethal = Lethal(monkeypatch, "get_project")
    lethal.run(sweep.run)
    assert (lethal.deaths, maria.grant.attempts) == (1, 1)
    ken = linked.hire("Ken T.")
    linked.run()
    assert (maria.grant.state, ken.grant.state) == (State.PENDING, State.GRANTED)


def test_an_attempt_that_killed_its_process_comes_last_the_next_time(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that cron starts once a minute would otherwise die at it each time, before it came to the others."""
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.deliver()
    lethal = Lethal(monkeypatch, "grant_access", trainer=maria.opentrain_user_id)
    for _round in range(2):
        lethal.run(sweep.run)
        linked.travel(seconds=locks.CALL_LEASE.total_seconds() + 1)
    assert lethal.deaths == 2
    assert ken.grant.state == State.GRANTED


def test_a_killed_reassertion_does_not_end_every_run(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.run()
    lethal = Lethal(monkeypatch, "grant_access", trainer=maria.opentrain_user_id)
    lethal.run(lambda: access.converge(maria.grant, reassert=True))
    site.inside.clear()
    linked.travel(seconds=10)
    lethal.run(lambda: reconcile.install(maria.contract.install))
    assert lethal.deaths == 1
    assert site.inside == {(ken.opentrain_user_id, "p1")}


def test_a_killed_announcement_backs_off_and_the_others_go_on(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire = linked.hire()
    linked.run()
    first = hire.contract
    make_contract(first.install, budget_state="DEPLETED")
    Contract.objects.filter(pk=first.pk).update(budget_state="LOW")
    lethal = Lethal(monkeypatch, "budget_changed")
    lethal.run(contracts.announce_budgets)
    assert lethal.deaths == 1
    first.refresh_from_db()
    assert (first.announce_attempts, first.announce_error) == (
        1,
        "The last attempt did not finish: its process ended.",
    )
    assert contracts.announce_budgets() == 1
    assert site.budgets == [("OK", "DEPLETED")]
    linked.travel(hours=1)
    assert contracts.announce_budgets() == 1


def test_host_code_that_exits_releases_what_was_held(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``sys.exit()`` in a host's code, or a signal that ends the worker in the middle of a call."""
    maria = linked.hire()
    linked.deliver()
    with monkeypatch.context() as patch:
        patch.setattr(RecordingAdapter, "grant_access", lambda *_arguments: exit_now())
        with pytest.raises(SystemExit):
            sweep.run()
    assert (maria.grant.state, maria.grant.attempts) == (State.FAILED, 1)
    linked.travel(seconds=20)
    linked.run()
    assert maria.grant.state == State.GRANTED


def exit_now() -> None:
    raise SystemExit(1)


# While the host is at work --------------------------------------------------------------------


def email_changes(grant: AccessGrant) -> None:
    trainer = grant.participant
    participant = type(trainer).objects.get(pk=trainer.pk)
    participant.work_email = "new@opentrain.work"
    participant.email_changed_at = timezone.now()
    participant.save()
    grants.email_arrived(participant)


def test_a_work_email_that_comes_while_access_is_given_reaches_the_host(
    linked: OpenTrain, site: Host
) -> None:
    site.during_call = email_changes
    maria = linked.hire()
    linked.run()
    assert site.emails[maria.opentrain_user_id] == "new@opentrain.work"
    assert maria.grant.state == State.GRANTED
    assert participants.readable_email(maria.participant) == "new@opentrain.work"


def test_a_work_email_that_comes_while_an_attempt_fails_is_used_at_once(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(grant: AccessGrant) -> None:
        email_changes(grant)
        raise RuntimeError("no such address")

    site.during_call = fails
    maria = linked.hire()
    linked.run()
    assert site.emails[maria.opentrain_user_id] == "new@opentrain.work"
    assert "did not finish" not in caplog.text, "it did"


def test_a_call_that_outlasts_its_lease_undoes_no_removal(linked: OpenTrain, site: Host) -> None:
    """The host lets the trainer in, slowly; another worker takes the access away before the call returns."""
    maria = linked.hire()

    def ended_and_removed(grant: AccessGrant) -> None:
        linked.travel(seconds=locks.CALL_LEASE.total_seconds() + 1)
        grants.revoke(AccessGrant.objects.filter(pk=grant.pk), "operator")
        assert access.converge_due() == 1
        assert maria.grant.state == State.REVOKED

    site.during_call = ended_and_removed
    linked.deliver()
    sweep.run()
    assert maria.grant.state == State.REVOKED
    assert site.inside == set()


@pytest.mark.long
def test_a_removal_that_outlasts_its_lease_undoes_no_other_grant(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    other = linked.hire(again=maria)
    linked.run()
    linked.end(maria)
    linked.end(other)

    def hired_again(grant: AccessGrant) -> None:
        linked.travel(seconds=locks.CALL_LEASE.total_seconds() + 1)
        rows = AccessGrant.objects.exclude(pk=grant.pk)
        rows.update(desired="GRANTED", state="PENDING", next_attempt_at=None, attempt_began_at=None)
        access.converge_due()

    linked.deliver()
    site.during_call = hired_again
    sweep.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}


def test_workers_that_chose_the_same_grant_burn_one_attempt(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.deliver()
    site.failing["grant_access"] = RuntimeError("a bad day")
    sweep.run()
    AccessGrant.objects.update(next_attempt_at=None, attempts=0, state=State.PENDING)
    stale = list(AccessGrant.objects.select_related("participant", "contract__install")) * 8
    assert [_try(row) for row in stale].count(True) == 1
    assert maria.grant.attempts == 1


# No transaction of ours -----------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_host_is_at_work(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_in: dict[str, bool] = {}
    for name in ("grant_access", "revoke_access", "get_project", "budget_changed", "collect_usage"):
        watch(monkeypatch, name, open_in)
    maria = linked.hire()
    linked.run()
    Contract.objects.update(budget_state="LOW")
    contracts.announce_budgets()
    linked.end(maria)
    linked.run()
    assert open_in == dict.fromkeys(open_in, False)
    assert len(open_in) == 5


def watch(monkeypatch: pytest.MonkeyPatch, name: str, open_in: dict[str, bool]) -> None:
    call = getattr(RecordingAdapter, name)

    def watched(adapter: RecordingAdapter, *arguments: Any) -> object:
        open_in[name] = open_in.get(name, False) or connection.in_atomic_block
        return call(adapter, *arguments)

    monkeypatch.setattr(RecordingAdapter, name, watched)
