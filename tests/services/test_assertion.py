"""What is settled is asserted again: the host is asked for all at once, and only what differs is changed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_opentrain.models import AccessGrant, Contract, Install
from django_opentrain.services import reconcile
from django_opentrain.services.access import grants, participants
from django_opentrain.services.reconcile import assertion, runs
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_grant, make_participant
from tests.services.conftest import Host, RecordingAdapter, host
from tests.services.test_attempts import Lethal

pytestmark = pytest.mark.django_db

State = AccessGrant.State
PROJECT = "p1"

#: For how many grants the host was asked at once.
asked: list[int] = []


def _access_states(adapter: RecordingAdapter, rows: Sequence[AccessGrant]) -> Mapping[int, bool | None]:
    asked.append(len(rows))
    if error := host.failing.get("access_states"):
        raise error
    places = {row.pk: (row.participant.opentrain_user_id, row.external_project_id) for row in rows}
    assert {row.tenant for row in rows} == {"acme"}
    return {pk: place in host.inside for pk, place in places.items()}


@pytest.fixture
def answering(site: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The host, which says of all trainers at once who has access."""
    del asked[:]
    monkeypatch.setattr(RecordingAdapter, "access_states", _access_states)
    return site


def later(opentrain: OpenTrain, hours: float = 1) -> None:
    opentrain.travel(hours=hours)
    reconcile.request_all()
    opentrain.run()


def place(hire: Hire) -> tuple[str, str]:
    return hire.opentrain_user_id, PROJECT


def called(site: Host) -> Counter[str]:
    return Counter(name for name, *_ in site.calls)


# Asked in bulk --------------------------------------------------------------------------------


@pytest.mark.long
def test_where_the_host_agrees_nothing_is_called(linked: OpenTrain, answering: Host) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.end(ken)
    linked.run()
    before = list(AccessGrant.objects.order_by("pk").values())
    answering.calls.clear()
    del asked[:]
    later(linked, hours=25)
    assert (answering.calls, asked) == ([], [2])
    assert list(AccessGrant.objects.order_by("pk").values()) == before
    assert answering.inside == {place(maria)}


@pytest.mark.long
def test_only_what_differs_is_changed(linked: OpenTrain, answering: Host) -> None:
    staying, lost, gone = (linked.hire(name) for name in ("Maria S.", "Ken T.", "Ana R."))
    linked.end(gone)
    linked.run()
    answering.inside.remove(place(lost))
    answering.inside.add(place(gone))
    answering.calls.clear()
    later(linked)
    assert answering.calls == [
        ("revoke_access", *place(gone)),
        ("grant_access", *place(lost)),
    ]
    assert answering.inside == {place(staying), place(lost)}
    assert {staying.grant.state, lost.grant.state} == {State.GRANTED}
    assert gone.grant.state == State.REVOKED


@pytest.mark.long
def test_a_removal_by_hand_is_noticed(
    linked: OpenTrain, answering: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = linked.hire()
    linked.run()
    monkeypatch.setattr(
        RecordingAdapter,
        "has_access",
        lambda _adapter, grant: (grant.participant.opentrain_user_id, PROJECT) in host.inside,
    )
    answering.inside.clear()
    answering.calls.clear()
    later(linked)
    later(linked, hours=25)
    assert (maria.grant.state, answering.calls) == (State.REMOVED_BY_HAND, [])
    answering.inside.add(place(maria))
    later(linked)
    assert maria.grant.state == State.GRANTED


@pytest.mark.long
def test_what_another_contract_keeps_open_is_not_removed(linked: OpenTrain, answering: Host) -> None:
    before = linked.hire()
    linked.end(before)
    again = linked.hire(again=before)
    linked.run()
    answering.calls.clear()
    attempted = AccessGrant.objects.values_list("updated_at", flat=True)
    was = list(attempted)
    later(linked)
    assert (answering.calls, answering.inside, list(attempted)) == ([], {place(again)}, was)


@pytest.mark.long
def test_a_removal_that_takes_too_much_is_undone_in_the_same_run(
    linked: OpenTrain, answering: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria, gone = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.end(gone)
    linked.run()
    monkeypatch.setattr(RecordingAdapter, "revoke_access", lambda *_arguments: host.inside.clear())
    answering.inside.add(place(gone))
    later(linked)
    assert answering.inside == {place(maria)}


@pytest.mark.long
def test_a_long_list_is_asked_for_in_pages(
    linked: OpenTrain, answering: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assertion, "PAGE", 2)
    hires = [linked.hire(f"Trainer {number}") for number in range(5)]
    for hire in hires[:2]:
        linked.end(hire)
    linked.run()
    answering.inside.clear()
    del asked[:]
    later(linked)
    assert answering.inside == {place(hire) for hire in hires[2:]}
    assert asked == [2, 2, 1]


@pytest.mark.long
@pytest.mark.parametrize("column", ["next_attempt_at", "attempt_began_at"])
def test_what_was_interrupted_is_converged_whatever_the_host_says(
    linked: OpenTrain, answering: Host, column: str
) -> None:
    maria = linked.hire()
    linked.run()
    AccessGrant.objects.update(**{column: linked.now})
    answering.calls.clear()
    later(linked)
    assert answering.calls == [("grant_access", *place(maria))]
    assert (maria.grant.next_attempt_at, maria.grant.attempt_began_at) == (None, None)


@pytest.mark.long
def test_new_details_of_a_trainer_reach_the_host(linked: OpenTrain, answering: Host) -> None:
    maria = linked.hire("Maria S.")
    linked.run()
    answering.calls.clear()
    info = maria.contract.install.client.list_participants(maria.id)[0]
    participants.save(maria.contract.install, info)
    later(linked)
    assert answering.calls == []
    maria.participant.__class__.objects.update(display_name="M. S.")
    participants.save(maria.contract.install, info)
    assert maria.grant.state == State.GRANTED
    later(linked)
    assert answering.calls == [("grant_access", *place(maria))]


@pytest.mark.long
@pytest.mark.parametrize("count", [5, 50])
def test_an_unchanged_install_costs_the_same_whatever_the_number_of_its_grants(
    linked: OpenTrain, answering: Host, count: int
) -> None:
    linked.hire()
    linked.run()
    mine = Install.objects.get()
    link = mine.project_links.get()
    for number in range(count - 1):
        trainer = make_participant(mine, opentrain_user_id=f"usr_{number}")
        make_grant(make_contract(mine, job_id="other"), link, trainer)
        answering.inside.add((trainer.opentrain_user_id, PROJECT))
    reconcile.install(mine)
    answering.calls.clear()
    with CaptureQueriesContext(connection) as statements:
        assert reconcile.install(mine).changes == []
    assert answering.calls == []
    assert len(statements) == STATEMENTS, [each["sql"] for each in statements]


#: Of which this is independent: grants, contracts and trainers.
STATEMENTS = 14


# What the adapter can't say -------------------------------------------------------------------


@pytest.mark.long
def test_each_grant_has_its_turn_within_a_day(linked: OpenTrain, site: Host) -> None:
    for number in range(8):
        linked.hire(f"Trainer {number}")
    linked.run()
    mine = Install.objects.get()
    site.calls.clear()
    hours = []
    for _hour in range(24):
        before = len(site.calls)
        linked.travel(hours=1)
        reconcile.install(mine, scheduled=True)
        hours.append(len(site.calls) - before)
    times = Counter(trainer for name, trainer, _project in site.calls if name == "grant_access")
    assert len(times) == 8
    assert set(times.values()) <= {1, 2}
    assert max(hours) == 1, "spread over the day"


def test_runs_that_last_over_the_hour_leave_no_grant_out(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins shortly before the hour, as the schedule goes on, and ends after it."""
    for number in range(8):
        linked.hire(f"Trainer {number}")
    linked.run()
    mine = Install.objects.get()
    linked.travel(minutes=(58 - linked.now.minute) % 60)
    monkeypatch.setattr(runs, "_ask_for_projects", lambda *_arguments: linked.travel(minutes=4))
    site.inside.clear()
    for _hour in range(24):
        reconcile.install(mine, scheduled=True)
        linked.travel(minutes=56)
    assert len(site.inside) == 8


@pytest.fixture
def one_share_a_run(linked: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> Install:
    """An install of which each run asserts no more than one share, of 20 trainers."""
    for number in range(assertion.SHARES):
        linked.hire(f"Trainer {number}")
    linked.run()
    monkeypatch.setattr(assertion, "MAX_SECONDS", 0.0)
    Install.objects.update(asserted_at=None)
    return Install.objects.get()


def test_a_long_assertion_goes_on_in_the_next_run(
    linked: OpenTrain, site: Host, one_share_a_run: Install
) -> None:
    site.inside.clear()
    inside: list[int] = []
    for _run in range(assertion.SHARES):
        assert not inside or Install.objects.filter(next_reconcile_at__lte=linked.now).exists()
        one_share_a_run.refresh_from_db()
        reconcile.install(one_share_a_run, scheduled=True)
        inside.append(len(site.inside))
    assert inside == [*range(1, assertion.SHARES + 1)]
    assert Install.objects.get().next_reconcile_at is None


def test_a_removal_comes_before_the_rest_of_an_assertion(
    linked: OpenTrain, site: Host, one_share_a_run: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = AccessGrant.objects.order_by("pk")[0], AccessGrant.objects.order_by("-pk")[0]
    assert first.pk != last.pk
    site.calls.clear()
    given, ending = RecordingAdapter.grant_access, [Contract.objects.get(pk=last.contract_id)]

    def grant_access(adapter: RecordingAdapter, grant: AccessGrant) -> str:
        while ending:
            linked.end(ending.pop())
        return given(adapter, grant)

    monkeypatch.setattr(RecordingAdapter, "grant_access", grant_access)
    reconcile.request_all()
    linked.run()
    names = [name for name, *_ in site.calls]
    assert names.index("revoke_access") <= 2
    assert names.count("grant_access") >= assertion.SHARES - 1


def test_a_run_that_a_person_waits_for_asserts_all_however_long_it_takes(
    site: Host, one_share_a_run: Install
) -> None:
    site.inside.clear()
    reconcile.install(one_share_a_run)
    assert len(site.inside) == assertion.SHARES
    assert Install.objects.get().next_reconcile_at is None


def test_a_run_that_comes_late_makes_up_for_it(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    site.inside.clear()
    later(linked, hours=assertion.SHARES + 1)
    assert site.inside == {place(maria)}


@pytest.mark.long
def test_a_run_that_a_person_asks_for_asserts_all(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    site.inside.clear()
    reconcile.install(maria.contract.install)
    assert site.inside == {place(maria)}


@pytest.mark.long
def test_a_removal_that_came_back_is_removed_within_a_day(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.end(maria)
    linked.run()
    site.inside.add(place(maria))
    for _hour in range(24):
        later(linked)
    assert site.inside == set()


def test_what_is_left_out_has_its_turn(
    linked: OpenTrain, answering: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.run()
    answering.calls.clear()
    monkeypatch.setattr(
        RecordingAdapter, "access_states", lambda *_arguments: {known.grant.pk: True, unknown.grant.pk: None}
    )
    later(linked, hours=25)
    assert answering.calls == [("grant_access", *place(unknown))]


@pytest.mark.long
def test_a_grant_whose_project_is_gone_is_looked_at(linked: OpenTrain, answering: Host) -> None:
    maria = linked.hire()
    linked.run()
    answering.projects["acme"].remove(PROJECT)
    later(linked, hours=25)  # the links' projects are asked for
    later(linked, hours=25)
    assert maria.grant.state == State.FAILED
    assert "is not one of this customer's projects" in maria.grant.last_error


# When the question fails ----------------------------------------------------------------------


@pytest.mark.long
def test_a_host_that_cant_answer_holds_up_nothing(
    linked: OpenTrain, answering: Host, caplog: pytest.LogCaptureFixture
) -> None:
    maria = linked.hire()
    linked.run()
    answering.inside.clear()
    answering.failing["access_states"] = RuntimeError("a bad day, maria@opentrain.work")
    with caplog.at_level(logging.WARNING, "django_opentrain"):
        later(linked, hours=25)
    assert "access_states failed: RuntimeError" in caplog.text
    assert "maria@" not in caplog.text
    assert answering.inside == {place(maria)}
    assert Install.objects.get().reconciled_at == pytest.approx(linked.now, abs=timedelta(minutes=1))


def test_a_question_that_kills_is_not_asked_in_the_next_run(
    linked: OpenTrain, answering: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = linked.hire()
    linked.run()
    mine = Install.objects.get()
    answering.inside.clear()
    with monkeypatch.context() as patch:
        lethal = Lethal(patch, "access_states")
        lethal.run(lambda: reconcile.install(mine))
        assert lethal.deaths == 1
        linked.travel(minutes=6)  # the lease of the dead worker ends
        lethal.run(lambda: reconcile.install(mine))
        assert lethal.deaths == 1
    assert answering.inside == {place(maria)}, "each grant has had its turn instead"
    del asked[:]
    reconcile.install(mine)
    assert asked == [1]


def test_a_time_limit_ends_the_run(
    linked: OpenTrain, answering: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_arguments: object) -> None:
        raise SoftTimeLimitExceeded

    linked.hire()
    linked.run()
    monkeypatch.setattr(RecordingAdapter, "access_states", hang)
    with pytest.raises(SoftTimeLimitExceeded):
        reconcile.install(Install.objects.get())


def test_what_ended_long_ago_is_not_asked_for(linked: OpenTrain, answering: Host) -> None:
    maria = linked.hire()
    linked.end(maria)
    linked.run()
    grants.revoke(AccessGrant.objects.all(), "operator ann")
    del asked[:]
    later(linked, hours=24 * 29)
    later(linked, hours=24 * 2)
    assert asked == [1]
    assert Contract.objects.get().status == Contract.Status.ENDED
