"""Desired access and its convergence, with a host that may fail."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_opentrain import signals
from django_opentrain.crypto import generate_key
from django_opentrain.errors import BusyError, OperationRefused
from django_opentrain.models import AccessGrant, Contract, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.services import access, connect, inbox, linking, reconcile, sweep
from django_opentrain.services.access import attempts, convergence, grants, participants
from django_opentrain.services.workers import retries
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_grant, make_install, make_link, make_participant
from tests.played import a_customer
from tests.services.conftest import Host, RecordingAdapter

pytestmark = pytest.mark.django_db

State, Desired = AccessGrant.State, AccessGrant.Desired


@pytest.mark.long
def test_hired_trainers_get_in_and_ended_ones_get_out(linked: OpenTrain, site: Host) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.run()
    assert site.inside == {(maria.opentrain_user_id, "p1"), (ken.opentrain_user_id, "p1")}
    assert maria.grant.host_user_ref == f"user-{maria.opentrain_user_id}"
    assert "contract.started" in maria.grant.cause
    linked.end(maria)
    linked.run()
    assert site.inside == {(ken.opentrain_user_id, "p1")}
    assert (maria.grant.state, maria.grant.desired) == (State.REVOKED, Desired.REVOKED)
    assert "contract.ended" in maria.grant.cause


def test_a_converged_grant_costs_no_call(linked: OpenTrain, site: Host) -> None:
    linked.hire()
    linked.run()
    calls = len(site.calls)
    linked.run()
    sweep.run()
    access.converge(AccessGrant.objects.get())
    assert len(site.calls) == calls


def test_several_links_give_several_grants(linked: OpenTrain, site: Host) -> None:
    linked.link("p2")
    maria = linked.hire()
    linked.run()
    assert {project for _trainer, project in site.inside} == {"p1", "p2"}
    linked.end(maria)
    linked.run()
    assert site.inside == set()


@pytest.mark.long
def test_a_project_is_lost_with_the_last_grant_to_it(linked: OpenTrain, site: Host) -> None:
    first = linked.hire()
    second = linked.hire(again=first)
    linked.run()
    linked.end(first)
    linked.run()
    assert site.inside == {(first.opentrain_user_id, "p1")}
    assert first.grant.state == State.REVOKED
    linked.end(second)
    linked.run()
    assert site.inside == set()


def revoke_elsewhere(grant: AccessGrant) -> None:
    grants.revoke(AccessGrant.objects.filter(pk=grant.pk), "event 9 contract.ended")


def test_a_removal_that_is_wanted_while_the_host_lets_somebody_in_is_not_forgotten(
    linked: OpenTrain, site: Host
) -> None:
    site.during_call = revoke_elsewhere
    maria = linked.hire()
    linked.run()
    assert [name for name, *_ in site.calls] == ["grant_access", "revoke_access"]
    assert (maria.grant.state, maria.grant.desired) == (State.REVOKED, Desired.REVOKED)
    assert maria.grant.cause == "event 9 contract.ended"
    assert site.inside == set()


def test_an_end_takes_what_a_killed_worker_gave_again(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host let the trainer in; that this happened was not saved any more."""
    maria = linked.hire()
    linked.run()
    grants.revoke(maria.grants.all(), "operator")
    linked.run()
    grants.restore(maria.grants.get(), "operator")
    give = RecordingAdapter.grant_access

    def and_die(adapter: RecordingAdapter, grant: AccessGrant) -> str:
        give(adapter, grant)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(RecordingAdapter, "grant_access", and_die)
        with pytest.raises(SystemExit):
            access.converge(maria.grants.get())
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    linked.end(maria)
    linked.run()
    assert site.inside == set()


def test_a_removal_does_not_wait_for_the_retry_of_a_failing_grant(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    site.failing["grant_access"] = RuntimeError("a bad day")
    linked.run()
    AccessGrant.objects.update(attempts=12)
    under_way = maria.grant
    revoke_elsewhere(under_way)
    assert maria.grant.next_attempt_at is None, "the removal is due at once"
    access.converge_due()
    assert maria.grant.state == State.REVOKED


def test_an_end_finds_access_whose_rows_were_deleted(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    Contract.objects.all().delete()
    linked.end(maria)
    linked.run()
    assert site.inside == set()
    assert maria.grant.state == State.REVOKED


def test_an_end_takes_nothing_that_opentrain_gave_itself(opentrain: OpenTrain, site: Host) -> None:
    a_customer(opentrain)
    opentrain.link("p1", provisioning_mode="MANAGED_ADAPTER")
    maria = opentrain.hire()
    opentrain.run()
    opentrain.end(maria)
    opentrain.run()
    assert maria.contract.status == Contract.Status.ENDED
    assert site.calls == []


def test_unlinking_takes_access_away(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    linking.unlink(maria.grant.link)
    linked.run()
    assert site.inside == set()
    assert "unlinked" in maria.grant.cause


def test_a_managed_link_grants_nothing(opentrain: OpenTrain, site: Host) -> None:
    a_customer(opentrain)
    opentrain.link("p1", provisioning_mode="MANAGED_ADAPTER")
    maria = opentrain.hire()
    opentrain.run()
    assert site.calls == []
    assert maria.contract.status == Contract.Status.ACTIVE
    assert not maria.grants.exists()


@pytest.mark.long
def test_what_opentrain_gives_by_now_is_not_ours_to_take(linked: OpenTrain, site: Host) -> None:
    """The project was linked again, so that OpenTrain provisions its accounts; our removal is asserted each day."""
    maria = linked.hire()
    linked.run()
    job = maria.contract.job_id
    linking.unlink(ProjectLink.objects.get())
    linked.run()
    assert site.inside == set()
    linked.link("p1", job=job, provisioning_mode="MANAGED_ADAPTER")
    linked.run()
    site.inside.add((maria.opentrain_user_id, "p1"))
    reassert(linked)
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    linked.end(maria)
    linked.run()
    reassert(linked)
    assert site.inside == set()


@pytest.mark.long
def test_when_access_was_given_and_removed_is_kept(linked: OpenTrain) -> None:
    """Saying again what is so changes neither."""
    maria = linked.hire()
    linked.run()
    given = maria.grant.granted_at
    reassert(linked)
    assert (maria.grant.granted_at, maria.grant.revoked_at) == (given, None)
    grants.revoke(maria.grants, "operator ann")
    linked.run()
    removed = maria.grant.revoked_at
    reassert(linked)
    assert given is not None
    assert removed is not None
    assert (maria.grant.granted_at, maria.grant.revoked_at) == (given, removed)
    grants.restore(maria.grant, "operator ann")
    linked.run()
    again = maria.grant.granted_at
    assert again is not None
    assert given < removed < again
    assert maria.grant.revoked_at is None


@pytest.fixture
def removal() -> AccessGrant:
    """Maria's access to acme's p1, which is to be removed."""
    install = make_install("acme")
    link = make_link(install, external_project_id="p1")
    maria = make_participant(install, opentrain_user_id="usr_maria")
    return make_grant(make_contract(install, [link]), link, maria, desired=Desired.REVOKED)


@pytest.mark.parametrize(
    ("tenant", "project", "trainer", "desired", "stays"),
    [
        ("acme", "p1", "usr_maria", Desired.GRANTED, True),
        ("globex", "p1", "usr_maria", Desired.GRANTED, False),
        ("acme", "p2", "usr_maria", Desired.GRANTED, False),
        ("acme", "p1", "usr_ken", Desired.GRANTED, False),
        ("acme", "p1", "usr_maria", Desired.REVOKED, False),
    ],
)
def test_only_a_grant_of_the_same_access_keeps_it(
    site: Host, removal: AccessGrant, tenant: str, project: str, trainer: str, desired: str, stays: bool
) -> None:
    install = make_install(tenant)
    link = make_link(install, external_project_id=project)
    person = make_participant(install, opentrain_user_id=trainer)
    make_grant(make_contract(install, [link]), link, person, desired=desired)
    assert access.converge(removal).state == State.REVOKED
    assert site.calls == ([] if stays else [("revoke_access", "usr_maria", "p1")])


MANAGED = ProjectLink.ProvisioningMode.MANAGED_ADAPTER


@pytest.mark.parametrize(
    ("tenant", "trainer", "link", "contract", "stays"),
    [
        ("acme", "usr_maria", {}, {}, True),
        ("globex", "usr_maria", {}, {}, False),
        ("acme", "usr_ken", {}, {}, False),
        ("acme", "usr_maria", {"external_project_id": "p2"}, {}, False),
        ("acme", "usr_maria", {"provisioning_mode": catalog.PARTNER_WEBHOOK}, {}, False),
        ("acme", "usr_maria", {"status": ProjectLink.Status.REMOVED}, {}, False),
        ("acme", "usr_maria", {}, {"status": Contract.Status.ENDED}, False),
    ],
)
def test_only_the_same_access_by_opentrain_keeps_it(
    site: Host,
    removal: AccessGrant,
    tenant: str,
    trainer: str,
    link: dict[str, Any],
    contract: dict[str, Any],
    stays: bool,
) -> None:
    install = make_install(tenant)
    managed = make_link(install, **{"external_project_id": "p1", "provisioning_mode": MANAGED, **link})
    person = make_participant(install, opentrain_user_id=trainer)
    make_contract(install, [managed], trainer=person, **contract)
    assert access.converge(removal).state == State.REVOKED
    assert site.calls == ([] if stays else [("revoke_access", "usr_maria", "p1")])


def reassert(opentrain: OpenTrain) -> None:
    opentrain.travel(days=1)
    reconcile.request_all()
    opentrain.run()


def test_a_link_made_on_opentrain_does_not_open_another_tenants_project(
    opentrain: OpenTrain, site: Host
) -> None:
    install = a_customer(opentrain)
    job = opentrain.sandbox.create_job("theirs", organization_id=install.organization_id)
    install.client.create_project_link(external_project_id="g1", job_id=job.id)
    opentrain.run()
    maria = opentrain.hire(job="theirs")
    opentrain.run()
    assert site.inside == set()
    assert maria.grant.state == State.FAILED
    assert "not one of this customer's" in maria.grant.last_error


# When the host fails --------------------------------------------------------------------------


@pytest.mark.long
def test_a_failing_removal_is_loud_and_tried_until_it_works(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[AccessGrant, str]] = []

    def listen(grant: AccessGrant, error: str, **_arguments: object) -> None:
        heard.append((grant, error))

    maria = linked.hire()
    linked.run()
    linked.end(maria)
    site.failing["revoke_access"] = PermissionError("403 for this token")
    signals.access_failed.connect(listen)
    try:
        with caplog.at_level(logging.ERROR, "django_opentrain"):
            linked.run()
    finally:
        signals.access_failed.disconnect(listen)
    assert maria.grant.state == State.FAILED
    assert maria.grant.last_error == "PermissionError: 403 for this token"
    assert heard == [(maria.grant, "PermissionError: 403 for this token")]
    assert "should be REVOKED" in caplog.text
    for _hour in range(30):
        linked.travel(hours=1)
        linked.run()
    assert maria.grant.attempts > 25
    assert site.inside
    site.failing.clear()
    linked.travel(hours=1)
    linked.run()
    assert site.inside == set()
    assert (maria.grant.state, maria.grant.attempts, maria.grant.last_error) == (State.REVOKED, 0, "")


def test_a_failing_grant_is_only_a_warning(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    linked.hire()
    site.failing["grant_access"] = RuntimeError("a bad day")
    linked.run()
    assert [record.levelname for record in caplog.records if record.name == attempts.logger.name] == [
        "WARNING"
    ]


@pytest.mark.parametrize("key", [7, uuid.UUID(int=7)])
def test_an_account_id_may_be_a_key_of_another_type(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch, key: Any
) -> None:
    monkeypatch.setattr(RecordingAdapter, "grant_access", lambda *_arguments: key)
    maria = linked.hire()
    linked.run()
    assert (maria.grant.state, maria.grant.host_user_ref) == (State.GRANTED, str(key))


@pytest.mark.parametrize("key", ["x" * 201, "a\0b", None, True, b"7", 7.0])
def test_a_key_that_can_not_be_kept_is_a_failure_and_no_obstacle(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch, key: Any
) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    give = RecordingAdapter.grant_access

    def badly(adapter: RecordingAdapter, grant: AccessGrant) -> Any:
        return key if grant.participant == maria.participant else give(adapter, grant)

    monkeypatch.setattr(RecordingAdapter, "grant_access", badly)
    linked.run()
    assert (maria.grant.state, ken.grant.state) == (State.FAILED, State.GRANTED)
    said = (
        "account id that the adapter returned"
        if isinstance(key, str)
        else "value for grant_access must be a text"
    )
    assert said in maria.grant.last_error


@pytest.mark.parametrize(("error", "level"), [(RuntimeError("a bug"), "ERROR"), (BusyError(), "WARNING")])
def test_nobody_waits_for_a_grant_that_our_own_code_fails_at(
    linked: OpenTrain,
    site: Host,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    level: str,
) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.deliver()
    inbox.drain()
    perform = attempts.perform

    def fail(row: AccessGrant) -> attempts.Outcome:
        if row == maria.grant:
            raise error
        return perform(row)

    monkeypatch.setattr(attempts, "perform", fail)
    access.converge_due()
    assert site.inside == {(ken.opentrain_user_id, "p1")}
    records = [each for each in caplog.records if f"access grant {maria.grant.pk}" in each.message]
    assert {each.levelname for each in records} == {level}


def test_no_work_email_in_what_is_kept_of_an_error(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    maria = linked.hire(work_email="maria.s@opentrain.work")
    site.failing["grant_access"] = ValueError("no such mailbox: maria.s@opentrain.work")
    linked.run()
    assert maria.grant.last_error == "ValueError: no such mailbox: [e-mail]"
    assert "maria.s@" not in caplog.text


def test_retry_now_makes_a_failed_grant_due(linked: OpenTrain, site: Host) -> None:
    site.failing["grant_access"] = RuntimeError("down")
    maria = linked.hire()
    linked.run()
    site.failing.clear()
    assert grants.retry_now(maria.grants) == 1
    linked.run()
    assert maria.grant.state == State.GRANTED


@pytest.mark.parametrize("attempts", [1, 2, 5, 50, 5000])
def test_backoff_grows_to_an_hour(attempts: int) -> None:
    wait = retries.backoff(attempts).total_seconds()
    ideal = min(retries.FIRST_RETRY_SECONDS * 2 ** (attempts - 1), retries.LONGEST_RETRY_SECONDS)
    assert 0.75 * ideal <= wait <= ideal


# Operators ------------------------------------------------------------------------------------


def test_what_an_operator_took_away_stays_away(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    grants.revoke(maria.grants, "operator ann")
    linked.run()
    linked.travel(hours=2)
    linked.sandbox.emit("contract.started", contract_id=maria.id)
    reconcile.request_all()
    linked.run()
    assert site.inside == set()
    assert maria.grant.cause == "operator ann"
    grants.restore(maria.grant, "operator ann: a mistake")
    linked.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}


def test_nothing_is_restored_after_the_end(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.end(maria)
    linked.run()
    with pytest.raises(OperationRefused, match="has ended"):
        grants.restore(maria.grant, "operator")


def test_nothing_is_restored_after_the_customer_left(linked: OpenTrain) -> None:
    """No event would ever take it away again."""
    maria = linked.hire()
    linked.run()
    connect.disconnect(maria.contract.install)
    with pytest.raises(OperationRefused, match="connected"):
        grants.restore(maria.grant, "operator ann")
    assert maria.grant.desired == Desired.REVOKED


def test_an_end_while_somebody_restores_wins(linked: OpenTrain) -> None:
    """What the operator's page has shown may be old."""
    maria = linked.hire()
    linked.run()
    grants.revoke(AccessGrant.objects.all(), "operator ann")
    shown = maria.grant
    linked.end(maria)
    linked.run()
    with pytest.raises(OperationRefused, match="ended"):
        grants.restore(shown, "operator ann")
    assert maria.grant.desired == Desired.REVOKED


def test_nothing_is_restored_through_a_removed_link(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.run()
    linking.unlink(maria.grant.link)
    with pytest.raises(OperationRefused, match="no longer linked"):
        grants.restore(maria.grant, "operator")


def test_a_name_keeps_nobody_out(linked: OpenTrain, site: Host) -> None:
    """However long it is, and whatever characters it has."""
    maria = linked.hire("😀 Maria " + "S" * 400)
    linked.run()
    assert maria.grant.state == State.GRANTED
    assert maria.grant.participant.display_name == "😀 Maria " + "S" * 292


# Work Emails ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_missing_work_email_is_asked_for_on_the_documented_schedule(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire(work_email="later")
    linked.run()
    assert maria.grant.state == State.WAITING_FOR_EMAIL
    asked: list[int] = []
    questions = [("GET", f"/contracts/{maria.id}/participants")]
    for minute in range(1, 60 * 6):
        linked.travel(minutes=1)
        before = len(linked.sandbox.calls)
        linked.run()
        calls = list(linked.sandbox.calls)[before:]
        if any((call.method, call.path) in questions for call in calls):
            asked.append(minute)
    # 1, 5, 30, 120 minutes after one another, then hourly.
    assert asked == [1, 6, 36, 156, 216, 276, 336]
    assert "no Work Email" in maria.grant.last_error
    linked.release_email(maria)
    linked.travel(hours=1)
    linked.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    assert site.emails[maria.opentrain_user_id] == maria.work_email
    assert maria.grant.last_error == ""


@pytest.mark.long
def test_an_outage_while_a_work_email_is_asked_for_holds_nobody_up(linked: OpenTrain, site: Host) -> None:
    maria, ken = linked.hire("Maria S.", work_email="later"), linked.hire("Ken T.")
    linked.run()
    lena = linked.hire("Lena B.")
    linked.travel(minutes=1)
    linked.fail_next(503, match="GET .*/participants")
    linked.run()
    assert maria.grant.state == State.WAITING_FOR_EMAIL
    assert maria.grant.last_error_code == "OPENTRAIN_UNAVAILABLE"
    assert lena.grant.state == State.GRANTED
    assert ken.grant.last_error == ""


def test_a_lost_key_while_a_work_email_is_asked_for_is_told(linked: OpenTrain, settings: Any) -> None:
    maria = linked.hire(work_email="later")
    linked.run()
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}
    access.converge(maria.grant)
    assert maria.grant.state == State.WAITING_FOR_EMAIL
    assert "ENCRYPTION_KEYS" in maria.grant.last_error


def test_without_the_pii_consent_nobody_is_asked(opentrain: OpenTrain) -> None:
    opentrain.connect("acme", pii=False)
    opentrain.link("p1")
    maria = opentrain.hire()
    opentrain.run()
    before = [call for call in opentrain.sandbox.calls if "participants" in call.path]
    opentrain.travel(minutes=2)
    opentrain.run()
    assert [call for call in opentrain.sandbox.calls if "participants" in call.path] == before
    assert "PII consent" in maria.grant.last_error


def test_ending_ends_the_waiting(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire(work_email=None)
    linked.run()
    linked.end(maria)
    linked.run()
    assert maria.grant.state == State.REVOKED
    assert site.inside == set()


def test_a_changed_work_email_reaches_the_host(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    linked.change_email(maria, "maria.new@opentrain.work")
    linked.hire(again=maria)
    linked.run()
    assert site.emails[maria.opentrain_user_id] == "maria.new@opentrain.work"
    assert maria.grant.state == State.GRANTED


def test_a_lost_key_makes_us_ask_again(linked: OpenTrain, site: Host, settings: Any) -> None:
    maria = linked.hire()
    linked.run()
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}
    assert participants.readable_email(maria.participant) is None


# By hand --------------------------------------------------------------------------------------


def test_reasserting_undoes_what_was_done_by_hand(linked: OpenTrain, site: Host) -> None:
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.end(ken)
    linked.run()
    site.inside = {(ken.opentrain_user_id, "p1")}
    for row in AccessGrant.objects.all():
        access.converge(row, reassert=True)
    assert site.inside == {(maria.opentrain_user_id, "p1")}


def test_reasserting_what_is_so_changes_nothing(linked: OpenTrain) -> None:
    """It is done each day for every grant."""
    maria, ken = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.end(ken)
    linked.run()
    before = list(AccessGrant.objects.order_by("pk").values())
    linked.travel(hours=1)
    for grant in (maria.grant, ken.grant):
        access.converge(grant, reassert=True)
    assert list(AccessGrant.objects.order_by("pk").values()) == before


@pytest.mark.long
def test_customers_take_turns(linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of hires for one customer doesn't delay other customers' trainers."""
    monkeypatch.setattr(convergence, "BATCH_PER_CUSTOMER", 2)
    for number in range(6):
        linked.hire(f"Trainer {number}")
    linked.deliver()
    inbox.drain()
    linked.connect("globex")
    site.calls.clear()
    AccessGrant.objects.update(state=State.PENDING)
    linked.link("g1", job="Their job")
    linked.hire("Their trainer")
    linked.deliver()
    inbox.drain()
    access.converge_due()
    projects = [project for _name, _trainer, project in site.calls]
    assert len(projects) == 7
    assert projects.index("g1") <= 2


def test_removals_go_first(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire("Maria S.")
    linked.run()
    ken = linked.hire("Ken T.")
    linked.end(maria)
    linked.deliver()
    inbox.drain()
    site.calls.clear()
    access.converge_due()
    assert [(name, trainer) for name, trainer, _project in site.calls] == [
        ("revoke_access", maria.opentrain_user_id),
        ("grant_access", ken.opentrain_user_id),
    ]


def test_signals_are_sent_after_commit_and_survive_a_bad_receiver(
    linked: OpenTrain, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, str]] = []

    def listen(grant: AccessGrant, **_arguments: object) -> None:
        heard.append((grant.state, AccessGrant.objects.get(pk=grant.pk).state))

    def fail(**_arguments: object) -> None:
        raise RuntimeError("the host's own fault")

    signals.access_granted.connect(fail)
    signals.access_granted.connect(listen)
    try:
        linked.hire()
        linked.run()
    finally:
        signals.access_granted.disconnect(fail)
        signals.access_granted.disconnect(listen)
    assert heard == [("GRANTED", "GRANTED")]
    assert "the host's own fault" in caplog.text


def test_a_grant_that_is_due_later_is_left_alone(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    calls = len(site.calls)
    AccessGrant.objects.filter(pk=maria.grant.pk).update(
        state=State.FAILED, next_attempt_at=timezone.now() + timedelta(minutes=5)
    )
    assert access.converge_due() == 0
    assert len(site.calls) == calls
