"""Reconciliation: from any drift back to the truth, with few calls, and never too far."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models.signals import post_init
from django.utils import timezone, translation

from django_opentrain import tasks
from django_opentrain.crypto import generate_key
from django_opentrain.errors import BusyError, LinkConflict, ReconnectRequired
from django_opentrain.models import AccessGrant, Contract, Install, Participant, ProjectLink, WebhookEndpoint
from django_opentrain.models.installs import InstallObserver
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    OpenTrainConnectionError,
    RateLimited,
    ServerError,
    Unauthorized,
)
from django_opentrain.platform.resources import BudgetInfo
from django_opentrain.services import connect, endpoints, linking, reconcile, sweep
from django_opentrain.services.access import contracts, participants
from django_opentrain.services.linking import records
from django_opentrain.services.reconcile import diff, refresh, runs, snapshot
from django_opentrain.services.workers.locks import lease
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_grant, make_install, make_link, make_participant
from tests.played import a_customer
from tests.services.conftest import Host, RecordingAdapter

pytestmark = pytest.mark.django_db


def install() -> Install:
    return Install.objects.get(status=Install.Status.ACTIVE)


def silence(opentrain: OpenTrain) -> None:
    """From now on no webhook comes: only asking helps."""
    endpoint = WebhookEndpoint.objects.get(status=WebhookEndpoint.Status.ACTIVE)
    endpoints.pause(endpoint)


def hourly(opentrain: OpenTrain) -> None:
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()


def paths(opentrain: OpenTrain, since: int) -> list[str]:
    return [f"{call.method} {call.path}" for call in list(opentrain.sandbox.calls)[since:]]


# What events missed ---------------------------------------------------------------------------


@pytest.mark.long
def test_everything_a_webhook_tells_is_found_without_one(linked: OpenTrain, site: Host) -> None:
    silence(linked)
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    hourly(linked)
    assert site.inside == {(maria.opentrain_user_id, "p1"), (ken.opentrain_user_id, "p1")}
    assert maria.contract.trainer == maria.participant
    linked.end(maria)
    hourly(linked)
    assert site.inside == {(ken.opentrain_user_id, "p1")}
    assert maria.contract.status == Contract.Status.ENDED
    assert "ended" in maria.grant.cause


@pytest.mark.long
def test_a_removed_link_is_believed_once_it_answers_404(linked: OpenTrain, site: Host) -> None:
    silence(linked)
    maria = linked.hire()
    hourly(linked)
    install().client.delete_project_link(str(ProjectLink.objects.get().opentrain_id))
    assert site.inside
    hourly(linked)
    assert site.inside == set()
    assert ProjectLink.objects.get().status == ProjectLink.Status.REMOVED
    assert "no longer exists on OpenTrain" in maria.grant.cause


def test_a_proxys_404_says_nothing_of_a_link(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked.hire()
    linked.run()
    monkeypatch.setattr(PlatformClient, "list_project_links", lambda *_a, **_k: [])
    linked.sandbox.fault("html", status=404, match="GET /project-links/.*")
    with pytest.raises(NotFound):
        reconcile.install(install())
    assert ProjectLink.objects.get().status == ProjectLink.Status.ACTIVE
    assert AccessGrant.objects.get().desired == AccessGrant.Desired.GRANTED


def test_a_link_made_elsewhere_is_found(linked: OpenTrain) -> None:
    silence(linked)
    install().client.create_project_link(external_project_id="p2")
    hourly(linked)
    assert ProjectLink.objects.get(external_project_id="p2").status == ProjectLink.Status.ACTIVE


@pytest.mark.long
def test_new_funding_is_found(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.fund(maria, hours=10)
    linked.run()
    linked.consume(maria, hours=9)
    linked.run()
    assert maria.contract.budget_state == "LOW"
    silence(linked)
    linked.fund(maria, hours=100)
    hourly(linked)
    hourly(linked)
    assert maria.contract.budget_state == "OK"
    assert site.budgets == [("OK", "LOW"), ("LOW", "OK")]


def test_contracts_from_before_the_link_are_found(opentrain: OpenTrain, site: Host) -> None:
    install = a_customer(opentrain)
    job = opentrain.sandbox.create_job("Old job", organization_id=install.organization_id)
    maria = opentrain.hire(job=job.id)
    opentrain.link("p1", job=job.id)
    opentrain.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}


def test_where_opentrain_gives_access_we_take_none_away(linked: OpenTrain, site: Host) -> None:
    """An ended contract whose events were missed may be under a link that OpenTrain itself provisions."""
    linked.link("p2", job="Managed", provisioning_mode=catalog.MANAGED_ADAPTER)
    silence(linked)
    linked.end(linked.hire(job="Managed"))
    hourly(linked)
    assert Contract.objects.get().status == Contract.Status.ENDED
    assert site.calls == []
    assert not AccessGrant.objects.exists()


@pytest.mark.parametrize("mode", [catalog.PARTNER_WEBHOOK, catalog.MANAGED_ADAPTER])
def test_a_second_link_of_a_known_contract_is_found(linked: OpenTrain, site: Host, mode: str) -> None:
    maria = linked.hire()
    linked.run()
    linked.link("p2", job=maria.contract.job_id, provisioning_mode=mode)
    hourly(linked)
    assert set(maria.contract.links.values_list("external_project_id", flat=True)) == {"p1", "p2"}
    assert len(site.inside) == (2 if mode == catalog.PARTNER_WEBHOOK else 1)


def test_a_poll_does_not_undo_a_budgets_news(linked: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    maria = linked.hire()
    linked.fund(maria, hours=10)
    linked.run()
    linked.travel(days=2)
    get_budget = PlatformClient.get_budget

    def during_call(client: PlatformClient, contract_id: str) -> BudgetInfo:
        budget = get_budget(client, contract_id)
        linked.consume(maria, hours=9)
        return budget

    monkeypatch.setattr(PlatformClient, "get_budget", during_call)
    reconcile.install(install())
    assert maria.contract.budget_state == "LOW"


@pytest.mark.long
def test_budgets_are_asked_for_where_there_is_an_answer(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest unasked first, and not those of contracts whose job is linked no more: OpenTrain answers 404."""
    monkeypatch.setattr(refresh, "CONTRACTS_AT_ONCE", 1)
    linked.link("p2", job="Another job")
    unlinked = [linked.hire(f"Trainer {number}", job="Another job") for number in range(2)]
    maria = linked.hire("Maria S.", job="Label data")
    linked.run()
    linking.unlink(ProjectLink.objects.get(external_project_id="p2"))
    Contract.objects.update(budget_updated_at=None)
    ken = linked.hire("Ken T.", job="Label data")
    linked.run()
    Contract.objects.filter(opentrain_id=ken.id).update(budget_updated_at=linked.now - timedelta(days=2))
    reconcile.install(install())
    assert maria.contract.budget_updated_at is not None
    reconcile.install(install())
    assert Contract.objects.filter(
        opentrain_id=ken.id, budget_updated_at__gte=linked.now - timedelta(hours=1)
    ).exists()
    assert all(each.contract.budget_updated_at is None for each in unlinked)
    assert install().last_reconciliation["problems"] == []


# What hands did -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [AccessGrant, Contract, Participant])
def test_deleted_rows_come_back(linked: OpenTrain, site: Host, model: Any) -> None:
    maria = linked.hire()
    linked.run()
    model.objects.all().delete()
    site.inside.clear()
    hourly(linked)
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    assert maria.grant.state == AccessGrant.State.GRANTED


def test_access_of_a_contract_whose_row_was_deleted_ends_with_it(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    silence(linked)
    linked.end(maria)
    Contract.objects.all().delete()
    assert site.inside
    hourly(linked)
    assert site.inside == set()


def test_deleted_links_and_endpoints_come_back(linked: OpenTrain) -> None:
    linked.hire()
    linked.run()
    ProjectLink.objects.all().delete()
    WebhookEndpoint.objects.all().delete()
    hourly(linked)
    assert ProjectLink.objects.get().status == ProjectLink.Status.ACTIVE
    assert WebhookEndpoint.objects.get().status == WebhookEndpoint.Status.ACTIVE
    assert len(install().client.list_webhook_endpoints()) == 1


def test_the_host_is_told_again(linked: OpenTrain, site: Host) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.end(ken)
    linked.run()
    site.inside = {(ken.opentrain_user_id, "p1")}
    linked.travel(days=1)
    hourly(linked)
    assert site.inside == {(maria.opentrain_user_id, "p1")}


# What it costs, and what it does not do ---------------------------------------------------------


def test_only_what_is_settled_and_not_long_over_is_told_again(linked: OpenTrain, site: Host) -> None:
    mine, theirs = ProjectLink.objects.get(), make_link(make_install("globex"), external_project_id="g1")
    removed = {"desired": "REVOKED", "state": "REVOKED", "revoked_at": linked.now}
    failing = {"state": "FAILED", "next_attempt_at": linked.now + timedelta(hours=1)}
    for link, who, values in (
        (mine, "in", {}),
        (mine, "out", removed),
        (mine, "long out", {**removed, "revoked_at": linked.now - timedelta(days=31)}),
        (mine, "not let in", failing),
        (mine, "not let go", {**removed, **failing}),
        (theirs, "theirs", {}),
    ):
        person = make_participant(link.install, opentrain_user_id=who)
        make_grant(make_contract(link.install), link, person, **values)
    reconcile.install(mine.install)
    assert sorted(site.calls) == [("grant_access", "in", "p1"), ("revoke_access", "out", "p1")]


@pytest.mark.long
def test_an_unchanged_install_costs_three_calls(linked: OpenTrain) -> None:
    for _hire in range(5):
        linked.hire()
    linked.run()
    hourly(linked)
    before = len(linked.sandbox.calls)
    outcome = reconcile.install(install())
    assert (outcome.changes, outcome.problems) == ([], [])
    assert paths(linked, before) == ["GET /webhook-endpoints", "GET /project-links", "GET /contracts"]


def test_without_an_endpoint_opentrain_is_asked_whose_the_token_is(opentrain: OpenTrain) -> None:
    scopes = [scope for scope in catalog.SCOPES if scope != catalog.WEBHOOKS_MANAGE]
    row = opentrain.connect("acme", scopes=scopes)
    opentrain.link("p1")
    opentrain.run()
    before = len(opentrain.sandbox.calls)
    reconcile.install(row)
    assert paths(opentrain, before) == ["GET /installs/current", "GET /project-links", "GET /contracts"]


@pytest.mark.long
def test_where_one_list_is_too_short_it_is_not_read_again(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "MAX_CONTRACTS_PER_PAGE", 3)
    linked.link("p2", job="Another job")
    for number in range(2):
        linked.hire(f"One {number}", job="Label data")
        linked.hire(f"Two {number}", job="Another job")
    linked.run()
    hourly(linked)
    before = len(linked.sandbox.calls)
    assert reconcile.install(install()).problems == []
    assert paths(linked, before)[2:] == ["GET /contracts", "GET /contracts"]


@pytest.mark.long
def test_a_long_history_is_not_loaded(linked: OpenTrain) -> None:
    linked.hire()
    linked.run()
    mine = install()
    link = mine.project_links.get()

    def loaded() -> int:
        rows: list[object] = []

        def count(sender: type, **_news: object) -> None:
            if sender in (AccessGrant, Contract, ProjectLink):
                rows.append(sender)

        post_init.connect(count)
        try:
            reconcile.install(mine)
        finally:
            post_init.disconnect(count)
        return len(rows)

    reconcile.install(mine)
    before = loaded()
    long_ago = timezone.now() - timedelta(days=365)
    ended = {"status": Contract.Status.ENDED, "ended_at": long_ago}
    gone = {
        "desired": AccessGrant.Desired.REVOKED,
        "state": AccessGrant.State.REVOKED,
        "revoked_at": long_ago,
    }
    for _number in range(3):
        make_link(mine, status=ProjectLink.Status.REMOVED, live=None)
        make_grant(make_contract(mine, [link], **ended), link, make_participant(mine), **gone)
    assert loaded() == before


@pytest.mark.long
def test_the_lease_lasts_while_the_host_is_told_again(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow host and many trainers: no other worker is to begin with the same."""
    for _number in range(3):
        linked.hire()
    linked.run()
    others = []

    def slowly(_adapter: RecordingAdapter, _grant: AccessGrant) -> str:
        linked.travel(minutes=4)
        with lease(install().pk) as held:
            others.append(held)
        return "user"

    monkeypatch.setattr(RecordingAdapter, "grant_access", slowly)
    reconcile.install(install())
    assert others == [None, None, None]


def test_an_empty_list_removes_nobody(linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    linked.hire()
    linked.run()
    monkeypatch.setattr(PlatformClient, "list_contracts", lambda *_a, **_k: [])
    monkeypatch.setattr(PlatformClient, "list_project_links", lambda *_a, **_k: [])
    hourly(linked)
    assert site.inside
    assert ProjectLink.objects.get().status == ProjectLink.Status.ACTIVE


def test_a_dry_run_says_what_differs_and_changes_nothing(linked: OpenTrain, site: Host) -> None:
    silence(linked)
    maria = linked.hire("Maria S.")
    outcome = reconcile.install(install(), dry_run=True)
    assert [str(change) for change in outcome.changes] == [
        f"+ contract {maria.id} ({maria_title(linked, maria.id)}), active"
    ]
    assert not Contract.objects.exists()
    assert site.inside == set()


def maria_title(opentrain: OpenTrain, contract_id: str) -> str:
    return next(info.title for info in install().client.list_contracts() if info.id == contract_id)


# Polls that are old by the time they are used ---------------------------------------------------


def test_a_stale_poll_does_not_revive_an_ended_contract(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    stale = install().client.list_contracts(status="active")[0]
    linked.end(maria)
    linked.run()
    diff.start(install(), stale)
    contracts.save(install(), stale)
    linked.run()
    assert maria.contract.status == Contract.Status.ENDED
    assert site.inside == set()


def test_an_end_during_the_poll_wins(linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    silence(linked)
    maria = linked.hire()
    fetch = participants.fetch

    def during_call(contract: Contract) -> list[Participant]:
        people = fetch(contract)
        contracts.end(Contract.objects.get(pk=contract.pk), "event")
        return people

    monkeypatch.setattr(participants, "fetch", during_call)
    hourly(linked)
    assert site.inside == set()
    assert maria.contract.status == Contract.Status.ENDED


@pytest.mark.parametrize("known_before", [True, False])
def test_a_disconnect_during_the_poll_wins(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch, known_before: bool
) -> None:
    """A grant that a disconnect took away could be revived by a reconnect: not by a poll that was under way."""
    if known_before:
        linked.hire()
        linked.run()
        AccessGrant.objects.all().delete()
    else:
        linked.hire()
        silence(linked)
    fetch = participants.fetch

    def fetch_late(contract: Contract) -> list[Participant]:
        people = fetch(contract)
        connect.disconnect(install())
        return people

    monkeypatch.setattr(participants, "fetch", fetch_late)
    reconcile.install(install())
    assert not AccessGrant.objects.wanted().exists()


def test_a_stale_poll_does_not_revive_a_removed_link(linked: OpenTrain) -> None:
    info = install().client.list_project_links()[0]
    linking.unlink(ProjectLink.objects.get())
    records.save(install(), info)
    assert ProjectLink.objects.get().status == ProjectLink.Status.REMOVED


# Long lists -----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_cut_list_is_split_by_link(linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MAX_CONTRACTS_PER_PAGE", 3)
    linked.link("p2", job="Another job")
    silence(linked)
    for number in range(2):
        linked.hire(f"One {number}", job="Label data")
        linked.hire(f"Two {number}", job="Another job")
    hourly(linked)
    assert len(site.inside) == 4
    assert install().last_reconciliation["problems"] == []


@pytest.mark.slow
def test_more_than_two_hundred_contracts_are_found(linked: OpenTrain, site: Host) -> None:
    """With OpenTrain's own limit; and known ones cost the lists only, by link, however many they are."""
    linked.link("p2", job="Another job")
    silence(linked)
    for number in range(110):
        linked.hire(f"One {number}", job="Label data")
        linked.hire(f"Two {number}", job="Another job")
    hourly(linked)
    assert len(site.inside) == 220
    assert install().last_reconciliation["problems"] == []
    Contract.objects.update(participants_read_at=timezone.now(), budget_updated_at=timezone.now())
    before = len(linked.sandbox.calls)
    reconcile.install(install())
    assert len(linked.sandbox.calls) - before == 4, "endpoints, links, and one list for each link"


def test_a_list_that_stays_cut_is_said_loudly(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catalog, "MAX_CONTRACTS_PER_PAGE", 3)
    silence(linked)
    for number in range(4):
        linked.hire(f"Trainer {number}")
    with caplog.at_level(logging.ERROR, "django_opentrain"):
        hourly(linked)
    assert "only the newest 3 active contracts" in caplog.text
    assert "only the newest 3 active contracts" in install().last_reconciliation["problems"][0]


@pytest.fixture
def unseen(linked: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> Hire:
    """A contract whose end no event said, and that is behind the newest ended ones which OpenTrain lists."""
    monkeypatch.setattr(catalog, "MAX_CONTRACTS_PER_PAGE", 3)
    first = linked.hire("First")
    linked.run()
    silence(linked)
    linked.end(first)
    for number in range(3):
        linked.end(linked.hire(f"Later {number}"))
    return first


@pytest.mark.long
def test_an_end_that_no_list_shows_is_a_persons_to_confirm(
    linked: OpenTrain, site: Host, unseen: Hire
) -> None:
    hourly(linked)
    assert len(site.inside) == 1, "absence from a list proves nothing"
    row = install()
    assert row.removals_held == 1
    assert row.last_reconciliation["held"] == [
        f"contract {unseen.id} (Label data) is no longer listed as active"
    ]
    hourly(linked)
    assert install().removals_held == 1
    reconcile.confirm_removals(install())
    linked.run()
    assert site.inside == set()
    assert unseen.contract.status == Contract.Status.ENDED
    assert "confirmed" in unseen.grant.cause
    assert install().removals_held == 0


def test_what_was_recorded_since_the_lists_were_read_is_in_none(
    linked: OpenTrain, site: Host, unseen: Hire
) -> None:
    Contract.objects.update(created_at=timezone.now() + timedelta(seconds=5))
    assert reconcile.install(install(), dry_run=True).held == []


@pytest.mark.long
def test_a_list_of_active_ones_that_is_cut_says_nothing(linked: OpenTrain, site: Host, unseen: Hire) -> None:
    for number in range(3):
        linked.hire(f"Active {number}")
    hourly(linked)
    assert install().removals_held == 0
    assert len(site.inside) == 4


# When OpenTrain fails -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_outage_postpones_and_heals(linked: OpenTrain, status: int) -> None:
    linked.fail_next(status=status, times=1, match="GET /project-links")
    with pytest.raises(ServerError):
        reconcile.install(install())
    row = install()
    assert row.next_reconcile_at is not None
    assert row.next_reconcile_at > timezone.now()
    assert row.last_error
    linked.travel(minutes=5)
    linked.run()
    assert install().last_error == ""
    assert install().next_reconcile_at is None


def test_a_dead_token_stops_all_calls_until_it_lives(linked: OpenTrain) -> None:
    linked.fail_next(status=401, match="GET /project-links")
    with pytest.raises(Unauthorized):
        reconcile.install(install())
    row = Install.objects.get()
    assert row.status == Install.Status.UNAUTHORIZED
    before = len(linked.sandbox.calls)
    with pytest.raises(Unauthorized, match="connect again"):
        row.client.list_contracts()
    sweep.run()
    assert len(linked.sandbox.calls) == before
    hourly(linked)
    assert install().last_error == ""


def test_a_switched_off_feature_is_told_and_heals(linked: OpenTrain) -> None:
    linked.sandbox.set_organization(install().organization_id, feature_enabled=False)
    with pytest.raises(Forbidden):
        reconcile.install(install())
    assert install().last_error_code == "OPENTRAIN_FORBIDDEN"
    linked.sandbox.set_organization(install().organization_id, feature_enabled=True)
    hourly(linked)
    assert install().last_error == ""


def test_a_rate_limit_holds_for_every_worker(linked: OpenTrain) -> None:
    linked.fail_next(status=429, retry_after="120", match="GET /project-links")
    with pytest.raises(RateLimited):
        reconcile.install(install())
    before = len(linked.sandbox.calls)
    with pytest.raises(RateLimited) as caught:
        Install.objects.get().client.list_contracts()
    assert caught.value.retry_after == pytest.approx(120)
    sweep.run()
    assert len(linked.sandbox.calls) == before
    linked.travel(seconds=121)
    linked.run()
    assert install().reconciled_at == pytest.approx(timezone.now(), abs=timedelta(seconds=1))


def test_the_longer_of_two_pauses_holds(linked: OpenTrain) -> None:
    """Two workers' calls were under way: the second answer doesn't shorten what the first one asked for."""
    for seconds in (600.0, 5.0):
        limited = RateLimited("slow down", status=429, code="RATE_LIMITED", retry_after=seconds)
        InstallObserver(install()).after_call(limited)
    paused_until = install().paused_until
    assert paused_until is not None
    assert paused_until > linked.now + timedelta(seconds=500)


def test_no_call_is_made_before_its_state_was_read(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One client makes the calls of a whole run, which goes on with the next contract after an error."""
    Install.objects.pause_until(linked.now + timedelta(seconds=60))
    observer = InstallObserver(install())
    with monkeypatch.context() as context:
        context.setattr(observer, "_rows", Install.objects.none())
        with pytest.raises(Install.DoesNotExist):
            observer.before_call()
    for _again in range(2):
        with pytest.raises(RateLimited):
            observer.before_call()


def test_one_customers_rate_limit_keeps_no_other_waiting(linked: OpenTrain) -> None:
    linked.connect("globex")
    linked.travel(hours=1)
    reconcile.request_all()
    linked.fail_next(status=429, retry_after="600")
    assert reconcile.run_due() == 2
    limited = Install.objects.exclude(paused_until=None).get()
    # Of the other one, whichever of the two came first.
    calls = 2 + ProjectLink.objects.exclude(install=limited).count()
    for _again in range(2):
        before = len(linked.sandbox.calls)
        Install.objects.update(next_reconcile_at=timezone.now())
        assert reconcile.run_due() == 1
        assert len(linked.sandbox.calls) - before == calls
    assert limited.reconciled_at is not None
    linked.travel(minutes=11)
    assert reconcile.run_due() >= 1
    limited.refresh_from_db()
    assert timezone.now() - limited.reconciled_at < timedelta(minutes=1)


def test_a_missing_scope_is_a_problem_and_no_obstacle(opentrain: OpenTrain) -> None:
    scopes = [scope for scope in catalog.SCOPES if scope != catalog.CONTRACTS_READ]
    row = opentrain.connect("acme", scopes=scopes)
    assert "contracts:read" in row.last_reconciliation["problems"][0]
    assert WebhookEndpoint.objects.get().status == WebhookEndpoint.Status.ACTIVE


@pytest.mark.long
def test_what_a_run_came_to_is_told_in_the_readers_language(
    linked: OpenTrain, site: Host, settings: Any
) -> None:
    """A worker doesn't know it."""
    hires = [linked.hire() for _number in range(6)]
    linked.run()
    silence(linked)
    for hire in hires:
        linked.end(hire)
    linked.fail_next(status=400, match="GET /contracts/.*/budget")
    Contract.objects.update(budget_updated_at=None)
    linked.sandbox.set_install(
        scopes=[each for each in catalog.SCOPES if not each.startswith("project-links")]
    )
    connect.verify(install())
    reconcile.install(install())
    with translation.override("de"):
        found = install().last_reconciliation
    assert f"Vertrag {hires[0].id}" in " ".join(found["held"])
    assert found["problems"][0] == "Projektverknüpfungen: Die Berechtigung project-links:read fehlt."
    assert found["problems"][1].startswith("Budget des Vertrags ctr")


@pytest.mark.long
def test_a_contract_has_ended_only_if_it_says_so_itself(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTrain ignores the parameter ``status``, and lists all contracts both times."""
    maria, jose = linked.hire(), linked.hire()
    linked.run()
    silence(linked)
    linked.end(jose)
    Install.objects.update(reconcile_summary={snapshot.TOO_MANY: True})
    list_contracts = PlatformClient.list_contracts

    def list_all(client: PlatformClient, **query: Any) -> Any:
        return list_contracts(client, **{**query, "status": None})

    monkeypatch.setattr(PlatformClient, "list_contracts", list_all)
    outcome = reconcile.install(install())
    linked.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    assert [str(each) for each in outcome.problems] == [
        f"Contract {jose.id} is listed as active, and its own status is ended.",
        f"Contract {maria.id} is listed as ended, and its own status is active.",
    ]


def test_two_workers_do_not_reconcile_at_once(linked: OpenTrain) -> None:
    with lease(install().pk) as held:
        assert held is not None
        with pytest.raises(BusyError):
            reconcile.install(install())
        reconcile.request_all()
        assert reconcile.run_due() == 0
    assert reconcile.run_due() == 1


def test_a_dead_workers_lease_ends(linked: OpenTrain) -> None:
    Install.objects.update(leased_until=timezone.now() + timedelta(minutes=4))
    with pytest.raises(BusyError):
        reconcile.install(install())
    linked.travel(minutes=5)
    reconcile.install(install())


def test_a_request_during_the_run_is_not_forgotten(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_contracts = snapshot.read_contracts

    def during_call(*arguments: Any) -> None:
        read_contracts(*arguments)
        linked.travel(seconds=1)
        reconcile.request_all()

    monkeypatch.setattr(runs, "read_contracts", during_call)
    reconcile.install(install())
    assert install().next_reconcile_at is not None


@pytest.mark.long
def test_a_poll_that_a_reconnect_overtakes_leaves_nothing_in_the_old_install(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.run()
    old = install()
    [link], [contract] = old.client.list_project_links(), old.client.list_contracts(status="active")
    linked.connect("acme")
    for write in (partial(records.save, old, link), partial(diff.start, old, contract)):
        with pytest.raises(BusyError):
            write()
    assert not old.contracts.exists()
    assert not ProjectLink.objects.live().filter(install=old).exists()
    assert maria.contract.install == install()


def test_who_left_before_the_run_began_is_said_farewell(linked: OpenTrain) -> None:
    """A command that does all customers in turn comes to the last one long after they were loaded."""
    loaded, leaving = install(), install()
    connect.disconnect(leaving)
    with pytest.raises(ReconnectRequired):
        reconcile.install(loaded)
    leaving.refresh_from_db()
    assert leaving.next_reconcile_at is not None
    runs.reconcile_or_finish(loaded)
    leaving.refresh_from_db()
    assert leaving.token is None


@pytest.mark.parametrize("status", [400, 409, 500])
@pytest.mark.parametrize("call", ["GET /webhook-endpoints", "GET /contracts/.*/budget"])
def test_one_refusal_keeps_nothing_else_from_being_mended(
    linked: OpenTrain, site: Host, call: str, status: int
) -> None:
    maria = linked.hire()
    linked.run()
    site.inside.clear()
    Contract.objects.update(budget_updated_at=None)
    linked.fail_next(status=status, match=call)
    outcome = reconcile.install(install())
    assert len(outcome.problems) == 1
    assert outcome.unfinished == (status == 500)
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    assert install().reconciled_at is not None
    assert install().reconcile_attempts == (status == 500)
    assert (install().next_reconcile_at is None) == (status != 500), (
        "what is not a no is asked for again soon"
    )
    linked.travel(minutes=1)
    linked.run()
    assert (install().reconcile_attempts, install().next_reconcile_at) == (0, None)


@pytest.mark.parametrize("error", [LinkConflict("Another link is in the way."), InvalidRequest("Too long.")])
def test_what_can_not_be_asked_keeps_nothing_else_from_being_mended(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    maria = linked.hire()
    linked.run()
    site.inside.clear()
    Contract.objects.update(budget_updated_at=None)

    def refuse(_client: PlatformClient, _contract_id: str) -> None:
        raise error

    monkeypatch.setattr(PlatformClient, "get_budget", refuse)
    outcome = reconcile.install(install())
    assert (len(outcome.problems), outcome.unfinished) == (1, False)
    assert site.inside == {(maria.opentrain_user_id, "p1")}


def test_what_a_run_did_is_kept(linked: OpenTrain) -> None:
    silence(linked)
    maria = linked.hire()
    reconcile.install(install())
    [change] = install().reconcile_summary["changes"]
    assert maria.id in str(change)
    shown = {"changes": [change], "held": [], "problems": []}
    assert install().reconcile_summary == {**shown, "held_contracts": []}
    # What is for people: the held contracts' keys are for the admin.
    assert install().last_reconciliation.keys() == shown.keys()


def test_a_lost_key_postpones_and_is_told(linked: OpenTrain, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}
    reconcile.request_all()
    assert reconcile.run_due() == 1
    assert install().reconcile_attempts == 1
    assert "ENCRYPTION_KEYS" in install().last_error
    assert reconcile.run_due() == 0, "not before its time"


def test_an_install_that_somebody_else_did_meanwhile_is_left_alone(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked.connect("globex")
    linked.travel(hours=1)
    reconcile.request_all()
    reconcile_or_finish, visited = runs.reconcile_or_finish, []

    def both(row: Install) -> None:
        visited.append(row.tenant)
        for each in Install.objects.usable():
            reconcile_or_finish(each)

    monkeypatch.setattr(runs, "reconcile_or_finish", both)
    assert reconcile.run_due() == 1
    assert len(visited) == 1


def test_what_comes_in_does_not_wait_for_all_installs(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked.connect("globex")
    acme = Install.objects.get(tenant="acme")
    reconcile_or_finish, inside = runs.reconcile_or_finish, []

    def during_call(row: Install) -> None:
        inside.append(len(site.inside))
        reconcile_or_finish(row)
        if not Contract.objects.exists():
            linked.sandbox.hire("Maria S.", job_id=acme.project_links.get().job_id)
            linked.deliver()

    linked.travel(hours=1)
    monkeypatch.setattr(runs, "reconcile_or_finish", during_call)
    monkeypatch.setattr(sweep, "SLICE_SECONDS", 0.0)
    tasks.reconcile_all()
    assert inside == [0, 1]


def test_no_answer_is_an_error_that_says_so(linked: OpenTrain) -> None:
    linked.lose_next_response(match="GET /project-links")
    with pytest.raises(OpenTrainConnectionError):
        reconcile.install(install())
    assert install().last_error
