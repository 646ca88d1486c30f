"""A removal by hand on the host is a decision: it stands until a person gives access again."""

from __future__ import annotations

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from django_opentrain import signals
from django_opentrain.adapters import OpenTrainAdapter
from django_opentrain.models import AccessGrant, Install
from django_opentrain.services import access, connect, reconcile
from django_opentrain.services.access import grants, participants
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.played import a_trainer
from tests.services.conftest import Host, RecordingAdapter, host
from tests.services.test_attempts import Lethal

pytestmark = pytest.mark.django_db

State, Desired = AccessGrant.State, AccessGrant.Desired
BY_HAND = State.REMOVED_BY_HAND


def _has_access(adapter: RecordingAdapter, grant: AccessGrant) -> bool | None:
    adapter._called("has_access", grant)
    return (grant.participant.opentrain_user_id, grant.external_project_id) in host.inside


@pytest.fixture
def seeing(site: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The host, which says who has access."""
    monkeypatch.setattr(RecordingAdapter, "has_access", _has_access)
    return site


@pytest.fixture
def maria(seeing: Host, linked: OpenTrain) -> Hire:
    """A trainer who has access."""
    return a_trainer(linked)


def a_day_later(opentrain: OpenTrain) -> None:
    opentrain.travel(days=1)
    reconcile.request_all()
    opentrain.run()


def remove_by_hand(opentrain: OpenTrain, site: Host) -> None:
    site.inside.clear()
    site.calls.clear()
    a_day_later(opentrain)


@pytest.mark.long
def test_a_count_of_none_is_a_removal_by_hand(
    linked: OpenTrain, seeing: Host, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts count memberships, and return that."""
    monkeypatch.setattr(RecordingAdapter, "has_access", lambda *_arguments: len(seeing.inside))
    a_day_later(linked)
    assert maria.grant.state == State.GRANTED
    remove_by_hand(linked, seeing)
    assert maria.grant.state == BY_HAND


@pytest.mark.long
def test_a_removal_by_hand_stands(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    remove_by_hand(linked, seeing)
    grant = maria.grant
    noticed = grant.revoked_at
    assert (grant.desired, grant.state) == (Desired.GRANTED, BY_HAND)
    assert noticed is not None
    a_day_later(linked)
    grants.retry_now(AccessGrant.objects.all())
    linked.run()
    assert {name for name, *_ in seeing.calls} == {"has_access"}
    assert (maria.grant.state, maria.grant.revoked_at, seeing.inside) == (BY_HAND, noticed, set())
    assert not AccessGrant.objects.unsettled().exists()


def test_who_is_there_is_given_access_each_day_as_before(
    linked: OpenTrain, seeing: Host, maria: Hire
) -> None:
    before = AccessGrant.objects.values().get()
    seeing.calls.clear()
    a_day_later(linked)
    assert [name for name, *_ in seeing.calls] == ["has_access", "grant_access"]
    assert AccessGrant.objects.values().get() == before


def test_a_host_that_cant_say_gives_access_again(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    remove_by_hand(linked, site)
    assert maria.grant.state == State.GRANTED
    assert site.inside == {(maria.opentrain_user_id, "p1")}


@pytest.mark.long
def test_access_can_be_given_again(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    remove_by_hand(linked, seeing)
    assert grants.give_again(AccessGrant.objects.all()) == 1
    linked.run()
    assert (maria.grant.state, maria.grant.revoked_at) == (State.GRANTED, None)
    assert seeing.inside == {(maria.opentrain_user_id, "p1")}
    assert grants.give_again(AccessGrant.objects.all()) == 0


def test_who_comes_back_by_hand_has_access(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    remove_by_hand(linked, seeing)
    seeing.inside.add((maria.opentrain_user_id, "p1"))
    a_day_later(linked)
    assert maria.grant.state == State.GRANTED


def test_the_end_of_the_contract_revokes_it_all_the_same(
    linked: OpenTrain, seeing: Host, maria: Hire
) -> None:
    remove_by_hand(linked, seeing)
    seeing.inside.add((maria.opentrain_user_id, "p1"))  # and back, by hand
    linked.end(maria)
    linked.run()
    assert (maria.grant.state, seeing.inside) == (State.REVOKED, set())
    assert ("revoke_access", maria.opentrain_user_id, "p1") in seeing.calls


def test_disconnecting_revokes_it_all_the_same(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    remove_by_hand(linked, seeing)
    connect.disconnect(Install.objects.get())
    linked.run()
    assert maria.grant.state == State.REVOKED


@pytest.mark.long
def test_each_of_two_contracts_waits_for_a_person(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    second = linked.hire(again=maria)
    linked.run()
    remove_by_hand(linked, seeing)
    assert {maria.grant.state, second.grant.state} == {BY_HAND}
    grants.give_again(second.grants)
    linked.run()
    a_day_later(linked)
    assert {maria.grant.state, second.grant.state} == {State.GRANTED}


def test_a_new_hire_is_a_newer_decision(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    remove_by_hand(linked, seeing)
    second = linked.hire(again=maria)
    linked.run()
    assert second.grant.state == State.GRANTED
    assert seeing.inside == {(maria.opentrain_user_id, "p1")}


def test_a_new_work_email_undoes_nothing(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    remove_by_hand(linked, seeing)
    linked.change_email(maria, "maria.new@opentrain.work")
    participants.fetch(maria.contract)
    linked.run()
    assert participants.readable_email(maria.participant) == "maria.new@opentrain.work"
    assert (maria.grant.state, seeing.inside) == (BY_HAND, set())


def test_nor_does_one_that_comes_before_the_removal_is_noticed(
    linked: OpenTrain, seeing: Host, maria: Hire
) -> None:
    linked.travel(minutes=10)
    seeing.inside.clear()
    linked.change_email(maria, "maria.new@opentrain.work")
    participants.fetch(maria.contract)
    assert maria.grant.state == State.PENDING
    seeing.failing["has_access"] = RuntimeError("a bad day")
    linked.run()
    assert (maria.grant.state, seeing.inside) == (State.PENDING, set())
    seeing.failing.clear()
    linked.travel(minutes=1)
    linked.run()
    assert (maria.grant.state, seeing.inside) == (BY_HAND, set())


def test_who_is_there_gets_a_new_work_email(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    linked.travel(minutes=10)
    linked.change_email(maria, "maria.new@opentrain.work")
    participants.fetch(maria.contract)
    linked.run()
    assert maria.grant.state == State.GRANTED
    assert seeing.emails[maria.opentrain_user_id] == "maria.new@opentrain.work"


def test_nothing_is_announced_and_nothing_was_revoked_by_us(
    linked: OpenTrain, seeing: Host, maria: Hire
) -> None:
    sent: list[object] = []

    def receive(sender: object, **_arguments: object) -> None:
        sent.append(sender)

    for signal in (signals.access_revoked, signals.access_failed):
        signal.connect(receive)
    remove_by_hand(linked, seeing)
    assert sent == []


# What is no removal by hand -------------------------------------------------------------------


@pytest.mark.long
def test_a_grant_that_never_succeeded_is_retried(linked: OpenTrain, seeing: Host) -> None:
    seeing.failing["grant_access"] = RuntimeError("a bad day")
    maria = linked.hire()
    linked.run()
    assert maria.grant.state == State.FAILED
    a_day_later(linked)
    assert (maria.grant.state, seeing.calls) == (State.FAILED, [])
    seeing.failing.clear()
    a_day_later(linked)
    assert maria.grant.state == State.GRANTED


def test_an_attempt_of_ours_that_was_killed_is_none(
    linked: OpenTrain, seeing: Host, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have removed the trainer to add them anew, and had no time for the second half."""
    lethal = Lethal(monkeypatch, "grant_access")
    lethal.run(lambda: access.converge(maria.grant, reassert=True))
    assert lethal.deaths == 1
    seeing.inside.clear()
    a_day_later(linked)
    assert (maria.grant.state, seeing.inside) == (State.GRANTED, {(maria.opentrain_user_id, "p1")})


@pytest.mark.long
def test_a_removal_of_ours_is_none(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    grants.revoke(maria.grants, "operator ann")
    linked.run()
    grants.restore(maria.grant, "operator ann")
    linked.run()
    assert (maria.grant.state, seeing.inside) == (State.GRANTED, {(maria.opentrain_user_id, "p1")})


def test_a_project_that_is_gone_is_shown_as_before(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    seeing.projects["acme"].remove("p1")
    remove_by_hand(linked, seeing)
    assert maria.grant.state == State.FAILED
    assert "is not one of this customer's projects" in maria.grant.last_error


# What the question meets ----------------------------------------------------------------------


@pytest.mark.long
def test_while_the_host_cant_answer_nothing_changes(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    seeing.failing["has_access"] = RuntimeError("a bad day")
    remove_by_hand(linked, seeing)
    assert (maria.grant.state, seeing.inside) == (State.GRANTED, set())
    assert maria.grant.last_error
    seeing.failing.clear()
    a_day_later(linked)
    assert (maria.grant.state, maria.grant.last_error) == (BY_HAND, "")
    seeing.failing["has_access"] = RuntimeError("a bad day")
    a_day_later(linked)
    assert (maria.grant.state, seeing.inside) == (BY_HAND, set())


@pytest.mark.long
def test_a_host_that_no_longer_says_undoes_nothing(
    linked: OpenTrain, seeing: Host, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_by_hand(linked, seeing)
    monkeypatch.setattr(RecordingAdapter, "has_access", OpenTrainAdapter.has_access)
    a_day_later(linked)
    assert (maria.grant.state, seeing.inside) == (BY_HAND, set())


def test_a_question_that_was_killed_undoes_nothing(
    linked: OpenTrain, seeing: Host, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_by_hand(linked, seeing)
    with monkeypatch.context() as patch:
        lethal = Lethal(patch, "has_access")
        lethal.run(lambda: access.converge(maria.grant, reassert=True))
        assert lethal.deaths == 1
    a_day_later(linked)
    assert (maria.grant.state, maria.grant.last_error, seeing.inside) == (BY_HAND, "", set())


@pytest.mark.parametrize("stop", [SoftTimeLimitExceeded, SystemExit])
def test_a_question_that_is_stopped_undoes_nothing(
    linked: OpenTrain, seeing: Host, maria: Hire, stop: type[BaseException]
) -> None:
    def end(_grant: AccessGrant) -> None:
        raise stop

    seeing.inside.clear()
    seeing.during_call = end
    with pytest.raises(stop):
        access.converge(maria.grant, reassert=True)
    assert maria.grant.state == State.GRANTED
    a_day_later(linked)
    assert (maria.grant.state, seeing.inside) == (BY_HAND, set())


def test_what_is_decided_while_it_is_asked_counts(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    remove_by_hand(linked, seeing)
    seeing.during_call = lambda _grant: grants.give_again(AccessGrant.objects.all())
    a_day_later(linked)
    assert (maria.grant.state, seeing.inside) == (State.GRANTED, {(maria.opentrain_user_id, "p1")})


def test_an_end_while_it_is_asked_counts(linked: OpenTrain, seeing: Host, maria: Hire) -> None:
    seeing.during_call = lambda _grant: grants.revoke(AccessGrant.objects.all(), "event 9 contract.ended")
    remove_by_hand(linked, seeing)
    assert (maria.grant.state, maria.grant.desired) == (State.REVOKED, Desired.REVOKED)
    assert ("revoke_access", maria.opentrain_user_id, "p1") in seeing.calls
