"""Work stops while a budget is used up, where the customer wants it, and goes on when it is funded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from django_opentrain import signals
from django_opentrain.models import AccessGrant, Contract, Install, ProjectLink, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import BudgetInfo
from django_opentrain.services import access, connect, linking, reconcile
from django_opentrain.services.access import contracts, grants
from django_opentrain.services.linking import generations
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_grant, make_install, make_link, make_participant
from tests.services.conftest import Host, RecordingAdapter, host
from tests.services.test_attempts import Lethal

State, Desired = AccessGrant.State, AccessGrant.Desired


def hire_funded(linked: OpenTrain) -> Hire:
    linking.configure(ProjectLink.objects.get(), stop_when_depleted=True)
    hire = linked.hire("Maria S.")
    linked.fund(hire, hours=10)
    linked.run()
    assert may_work(hire)
    return hire


@pytest.fixture
def maria(linked: OpenTrain) -> Hire:
    """A trainer whose contract is funded with ten hours, on a link that stops work when they are used up."""
    return hire_funded(linked)


def an_hour_later(opentrain: OpenTrain) -> None:
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()


def use_up(opentrain: OpenTrain, hire: Hire, hours: float = 10) -> None:
    opentrain.consume(hire, hours=hours)
    opentrain.run()


def may_work(hire: Hire, project: str = "p1") -> bool:
    return (hire.opentrain_user_id, project) in host.inside


def states(hire: Hire) -> list[tuple[str, str]]:
    return [(grant.desired, grant.state) for grant in hire.grants]


def set_budget(hire: Hire, state: str) -> None:
    contracts.save_budget(hire.contract, BudgetInfo.from_json({"state": state, "contractId": hire.id}))


def test_by_default_a_used_up_budget_stops_nothing(linked: OpenTrain) -> None:
    hire = linked.hire("Maria S.")
    linked.fund(hire, hours=10)
    linked.run()
    use_up(linked, hire)
    assert hire.contract.budget_state == catalog.BUDGET_DEPLETED
    assert states(hire) == [(Desired.GRANTED, State.GRANTED)]
    assert may_work(hire)


@pytest.mark.long
def test_work_stops_and_goes_on(linked: OpenTrain, maria: Hire, site: Host) -> None:
    use_up(linked, maria, hours=8)
    assert maria.contract.budget_state == catalog.BUDGET_LOW
    assert may_work(maria)
    use_up(linked, maria, hours=2)
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    assert not may_work(maria)
    assert maria.grant.is_settled
    assert maria.grant.revoked_at is not None
    assert "used up" in maria.grant.cause
    assert site.budgets == [("OK", "LOW"), ("LOW", "DEPLETED")], "the adapter is notified as ever"
    linked.travel(hours=2)
    linked.fund(maria, hours=10)
    linked.run()
    assert states(maria) == [(Desired.GRANTED, State.GRANTED)]
    assert may_work(maria)
    assert maria.grant.granted_at is not None
    assert linked.now - maria.grant.granted_at < timedelta(minutes=1), "since it was given back"
    assert maria.grant.revoked_at is None
    assert "no longer used up" in maria.grant.cause


@pytest.mark.long
def test_funding_whose_event_is_lost_is_found_within_the_hour(linked: OpenTrain, maria: Hire) -> None:
    use_up(linked, maria)
    linked.fund(maria, hours=10)
    linked.deliver()
    assert WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING).delete()[0] == 1
    an_hour_later(linked)
    assert may_work(maria)


@pytest.mark.long
def test_a_pause_that_was_missed_is_found_by_the_next_sync(linked: OpenTrain, maria: Hire) -> None:
    Contract.objects.update(budget_state=catalog.BUDGET_DEPLETED, budget_updated_at=linked.now)
    linked.run()
    assert may_work(maria)
    reconcile.request_all()
    linked.run()
    assert not may_work(maria)


@pytest.mark.long
def test_switching_it_on_and_off_counts_at_once(linked: OpenTrain, maria: Hire) -> None:
    link = maria.grant.link
    linking.configure(link, stop_when_depleted=False)
    use_up(linked, maria)
    assert may_work(maria)
    linking.configure(link, stop_when_depleted=True)
    linked.run()
    assert not may_work(maria)
    linking.configure(link)
    linked.run()
    assert not may_work(maria)
    linking.configure(link, stop_when_depleted=False)
    linked.run()
    assert may_work(maria)


@pytest.mark.long
def test_the_sync_leaves_it_as_it_is(linked: OpenTrain, maria: Hire, site: Host) -> None:
    use_up(linked, maria)
    host.inside.add((maria.opentrain_user_id, "p1"))  # someone let them in by hand
    linked.travel(days=1)
    an_hour_later(linked)
    assert not may_work(maria)
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]


@pytest.mark.long
def test_a_hire_whose_budget_is_used_up_already_waits(linked: OpenTrain, maria: Hire, site: Host) -> None:
    use_up(linked, maria)
    linked.link("p2")
    linking.configure(ProjectLink.objects.get(external_project_id="p2"), stop_when_depleted=True)
    site.calls.clear()
    an_hour_later(linked)
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)] * 2
    assert "grant_access" not in {name for name, _who, _where in site.calls}
    linked.fund(maria, hours=10)
    linked.run()
    assert may_work(maria)
    assert may_work(maria, "p2")


@pytest.mark.long
def test_only_links_that_say_so_are_closed(linked: OpenTrain, maria: Hire) -> None:
    linked.link("p2")
    linked.run()
    use_up(linked, maria)
    assert (may_work(maria, "p1"), may_work(maria, "p2")) == (False, True)


@pytest.mark.long
def test_another_contract_with_funds_keeps_the_trainer_in(linked: OpenTrain, maria: Hire, site: Host) -> None:
    other = linked.hire(again=maria)
    linked.fund(other, hours=10)
    linked.run()
    use_up(linked, maria)
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    assert may_work(maria)
    linked.end(other)
    linked.run()
    assert not may_work(maria)
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]


@pytest.mark.long
def test_two_contracts_that_end_at_once_are_no_removal_by_hand(
    linked: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's pause leaves the door open for the second, whose pause closes it for both."""
    monkeypatch.setattr(
        RecordingAdapter, "has_access", lambda _self, grant: may_work(maria, grant.external_project_id)
    )
    other = linked.hire(again=maria)
    linked.fund(other, hours=10)
    linked.run()
    for hire in (maria, other):
        set_budget(hire, catalog.BUDGET_DEPLETED)
    linked.run()
    assert [states(hire) for hire in (maria, other)] == [[(Desired.PAUSED, State.PAUSED)]] * 2
    for hire in (maria, other):
        set_budget(hire, catalog.BUDGET_OK)
    linked.run()
    assert [states(hire) for hire in (maria, other)] == [[(Desired.GRANTED, State.GRANTED)]] * 2
    assert may_work(maria)


# What ends it ---------------------------------------------------------------------------------


def end(opentrain: OpenTrain, hire: Hire) -> None:
    opentrain.end(hire)


def unlink(_opentrain: OpenTrain, hire: Hire) -> None:
    linking.unlink(hire.grant.link)


def disconnect(_opentrain: OpenTrain, hire: Hire) -> None:
    connect.disconnect(hire.contract.install)


def revoke(_opentrain: OpenTrain, hire: Hire) -> None:
    grants.revoke(hire.grants, "operator ada")


@pytest.mark.long
@pytest.mark.parametrize("reason", [end, unlink, disconnect, revoke])
def test_a_reason_to_revoke_access_revokes_a_paused_one(
    linked: OpenTrain, maria: Hire, reason: Callable[[OpenTrain, Hire], None]
) -> None:
    use_up(linked, maria)
    reason(linked, maria)
    linked.run()
    assert states(maria) == [(Desired.REVOKED, State.REVOKED)]
    set_budget(maria, catalog.BUDGET_OK)
    linked.run()
    assert states(maria) == [(Desired.REVOKED, State.REVOKED)]
    assert not may_work(maria)


@pytest.mark.long
def test_an_abandoned_connection_loses_its_paused_access(linked: OpenTrain, maria: Hire) -> None:
    use_up(linked, maria)
    linked.disconnect()
    linked.run()
    linked.travel(hours=1)
    linked.run()
    assert states(maria) == [(Desired.REVOKED, State.REVOKED)]


@pytest.mark.long
def test_access_that_an_operator_restores_stays_paused(linked: OpenTrain, maria: Hire) -> None:
    use_up(linked, maria)
    grants.revoke(maria.grants, "operator ada")
    linked.run()
    grants.restore(maria.grant, "operator ada")
    linked.run()
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]


# Removals by hand -----------------------------------------------------------------------------


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_access(_adapter: RecordingAdapter, grant: AccessGrant) -> bool:
        return (grant.participant.opentrain_user_id, grant.external_project_id) in host.inside

    monkeypatch.setattr(RecordingAdapter, "has_access", has_access)


@pytest.mark.long
@pytest.mark.usefixtures("seeing")
def test_a_pause_is_not_taken_for_a_removal_by_hand(linked: OpenTrain, maria: Hire) -> None:
    use_up(linked, maria)
    an_hour_later(linked)
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    linked.fund(maria, hours=10)
    linked.run()
    assert may_work(maria)


@pytest.mark.long
@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize("noticed", [True, False])
def test_who_was_removed_by_hand_stays_out_when_it_is_funded(
    linked: OpenTrain, maria: Hire, *, noticed: bool
) -> None:
    host.inside.clear()
    if noticed:
        an_hour_later(linked)
    use_up(linked, maria)
    assert states(maria) == [(Desired.PAUSED, State.REMOVED_BY_HAND)]
    assert maria.grant.is_removed_by_hand
    linked.fund(maria, hours=10)
    linked.run()
    assert states(maria) == [(Desired.GRANTED, State.REMOVED_BY_HAND)]
    assert not may_work(maria)
    assert grants.give_again(maria.grants) == 1
    linked.run()
    assert may_work(maria)


@pytest.mark.long
@pytest.mark.usefixtures("seeing")
def test_access_that_is_given_again_waits_for_funds(linked: OpenTrain, maria: Hire) -> None:
    host.inside.clear()
    use_up(linked, maria)
    assert grants.give_again(maria.grants) == 1
    linked.run()
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    linked.fund(maria, hours=10)
    linked.run()
    assert may_work(maria)


def test_a_host_that_cannot_say_who_has_access_is_asked_later(
    linked: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(_adapter: RecordingAdapter, _grant: AccessGrant) -> bool:
        raise RuntimeError("a bad day")

    with monkeypatch.context() as patch:
        patch.setattr(RecordingAdapter, "has_access", unable)
        use_up(linked, maria)
        grant = maria.grant
        assert (grant.desired, grant.state) == (Desired.PAUSED, State.GRANTED)
        assert grant.next_attempt_at is not None
        assert grant.next_attempt_at > linked.now
        assert "a bad day" in grant.last_error
    linked.travel(hours=1)
    linked.run()
    assert not may_work(maria)


# Crashes, retries, races ----------------------------------------------------------------------


@pytest.mark.long
def test_a_host_that_fails_is_called_again(linked: OpenTrain, maria: Hire, site: Host) -> None:
    site.failing["revoke_access"] = RuntimeError("a bad day")
    use_up(linked, maria)
    assert states(maria) == [(Desired.PAUSED, State.FAILED)]
    site.failing.clear()
    linked.travel(hours=1)
    linked.run()
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    assert not may_work(maria)


@pytest.mark.long
def test_funding_during_the_pause_lets_them_in_again(linked: OpenTrain, maria: Hire, site: Host) -> None:
    site.during_call = lambda _grant: set_budget(maria, catalog.BUDGET_OK)
    set_budget(maria, catalog.BUDGET_DEPLETED)
    linked.run()
    assert states(maria) == [(Desired.GRANTED, State.GRANTED)]
    assert may_work(maria)


@pytest.mark.long
def test_a_budget_that_is_used_up_during_the_grant_pauses_it(
    linked: OpenTrain, maria: Hire, site: Host
) -> None:
    set_budget(maria, catalog.BUDGET_DEPLETED)
    linked.run()
    site.during_call = lambda _grant: set_budget(maria, catalog.BUDGET_DEPLETED)
    set_budget(maria, catalog.BUDGET_OK)
    linked.run()
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    assert not may_work(maria)


@pytest.mark.long
@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize("funded", [True, False])
def test_a_process_that_dies_in_it_leaves_nothing_half_done(
    linked: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch, *, funded: bool
) -> None:
    set_budget(maria, catalog.BUDGET_DEPLETED)
    lethal = Lethal(monkeypatch, "revoke_access")
    lethal.run(access.converge_due)
    assert (lethal.deaths, maria.grant.attempts) == (1, 1)
    host.inside.clear()  # it had come so far
    if funded:
        set_budget(maria, catalog.BUDGET_OK)
    linked.travel(hours=1)
    linked.run()
    desired = Desired.GRANTED if funded else Desired.PAUSED
    assert states(maria) == [(desired, desired)]
    assert may_work(maria) is funded


@pytest.mark.long
def test_pauses_come_before_new_access(linked: OpenTrain, maria: Hire, site: Host) -> None:
    joao = linked.hire("João P.")
    linked.deliver()
    set_budget(maria, catalog.BUDGET_DEPLETED)
    site.calls.clear()
    linked.run()
    assert [name for name, _who, _where in site.calls] == ["revoke_access", "grant_access"]
    assert may_work(joao)


# A reconnect ----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_reconnect_keeps_it_paused(linked: OpenTrain, maria: Hire) -> None:
    use_up(linked, maria)
    linked.connect("acme")
    linked.run()
    link = ProjectLink.objects.live().get()
    assert (link.install, link.stop_when_depleted) == (Install.objects.order_by("-pk").first(), True)
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    assert not may_work(maria)
    linked.fund(maria, hours=10)
    linked.run()
    assert may_work(maria)


@pytest.mark.long
def test_a_reconnect_after_access_was_revoked_keeps_it_paused(linked: OpenTrain, maria: Hire) -> None:
    use_up(linked, maria)
    linked.disconnect()
    linked.run()
    linked.travel(hours=1)
    linked.run()
    assert states(maria) == [(Desired.REVOKED, State.REVOKED)]
    linked.connect("acme")
    linked.run()
    assert states(maria) == [(Desired.PAUSED, State.PAUSED)]
    assert not may_work(maria)


@pytest.mark.django_db
def test_a_link_that_the_new_connection_has_already_takes_it_over() -> None:
    old, new = make_install(), make_install()
    mine = make_link(old, external_project_id="p1", stop_when_depleted=True)
    successor = make_link(new, external_project_id="p1")
    contract = make_contract(new, [successor], budget_state=catalog.BUDGET_DEPLETED)
    grant = make_grant(contract, successor, make_participant(new))
    generations.carry_over(mine, new)
    successor.refresh_from_db()
    grant.refresh_from_db()
    assert (successor.stop_when_depleted, grant.desired) == (True, Desired.PAUSED)


# What the site hears --------------------------------------------------------------------------


@pytest.mark.long
def test_the_site_is_notified(linked: OpenTrain, maria: Hire) -> None:
    heard: list[str] = []
    kinds = {name: getattr(signals, name) for name in ("access_granted", "access_paused", "access_revoked")}
    receivers = []
    for name, signal in kinds.items():
        receiver = lambda name=name, **_more: heard.append(name)  # noqa: E731
        receivers.append((signal, receiver))
        signal.connect(receiver)
    try:
        use_up(linked, maria)
        linked.fund(maria, hours=10)
        linked.run()
    finally:
        for signal, receiver in receivers:
            signal.disconnect(receiver)
    assert heard == ["access_paused", "access_granted"]


@pytest.mark.long
def test_a_budget_of_a_connection_that_was_replaced_counts_for_the_new_one(
    linked: OpenTrain, maria: Hire
) -> None:
    """A call made before the reconnect is answered after it."""
    stale = maria.contract
    linked.connect("acme")
    asked_at = timezone.now() + timedelta(seconds=1)
    contracts.save_budget(
        stale, BudgetInfo.from_json({"state": "DEPLETED", "contractId": maria.id}), asked_at=asked_at
    )
    linked.run()
    assert not may_work(maria)
