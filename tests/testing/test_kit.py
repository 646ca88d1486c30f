"""The kit tells stories: each of its verbs does what it says, through the real site."""

from __future__ import annotations

from datetime import datetime, timedelta
from datetime import timezone as tz
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import TestCase
from django.utils import timezone

from django_opentrain.clients import shared_session
from django_opentrain.conf import conf
from django_opentrain.models import AccessGrant, Install, ProjectLink, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import RateLimited, ServerError
from django_opentrain.services import linking, sweep
from django_opentrain.signals import access_granted
from django_opentrain.testing.environment import forced_settings
from django_opentrain.testing.kit import OpenTrain, StillBusy
from django_opentrain.testing.receiver import DeliveryFailed


@pytest.fixture
def linked(opentrain: OpenTrain) -> OpenTrain:
    opentrain.connect("acme")
    opentrain.link("1")
    return opentrain


# What customers do ------------------------------------------------------------------------------


def test_connecting_verifies_subscribes_and_reconciles(opentrain: OpenTrain) -> None:
    install = opentrain.connect("acme")
    assert (install.tenant, install.status) == ("acme", Install.Status.ACTIVE)
    assert set(install.scopes) == set(catalog.SCOPES)
    assert install.pii_consent
    assert install.reconciled_at is not None
    assert install.webhook_endpoints.get().status == "ACTIVE"


@pytest.mark.django_db
def test_a_site_whose_keys_come_from_elsewhere_has_some_here(settings: Any) -> None:
    values = {name: value for name, value in settings.OPENTRAIN.items() if name != "ENCRYPTION_KEYS"}
    settings.OPENTRAIN = values
    with OpenTrain() as opentrain:
        assert opentrain.connect("acme").token
    assert "ENCRYPTION_KEYS" not in settings.OPENTRAIN


def test_a_customer_may_grant_less(opentrain: OpenTrain) -> None:
    install = opentrain.connect(scopes=["project-links:write", "contracts:read"], pii=False)
    assert install.scopes == ["project-links:write", "contracts:read"]
    assert not install.pii_consent
    assert not install.webhook_endpoints.exists()


@pytest.mark.long
def test_connecting_again_is_a_reconnect(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.run()
    first = maria.contract.install
    second = linked.connect("acme")
    first.refresh_from_db()
    assert first.superseded_by == second
    assert maria.contract.install == second
    assert maria.grant.state == AccessGrant.State.GRANTED


def test_two_customers_are_two_organizations(linked: OpenTrain) -> None:
    globex = linked.connect("globex")
    linked.link("3")
    hank = linked.hire("Hank S.")
    linked.run()
    assert hank.grant.external_project_id == "3"
    assert hank.contract.install == globex
    acme = Install.objects.get(tenant="acme")
    assert acme.status == Install.Status.ACTIVE
    assert acme.organization_id != globex.organization_id


def test_a_link_goes_to_the_job_that_is_named(linked: OpenTrain) -> None:
    boxes = linked.link("2", job="Street scene boxes")
    assert ProjectLink.objects.get(external_project_id="1").job_id != boxes.job_id
    assert linked.hire(job="Street scene boxes").id
    job = linked.sandbox.create_job("By id", organization_id=boxes.install.organization_id)
    linking.unlink(boxes)
    assert linked.link("2", job=job.id, install=boxes.install).job_id == job.id


def test_a_customer_disconnects(linked: OpenTrain) -> None:
    linked.disconnect()
    linked.run()
    install = Install.objects.get()
    assert install.status == Install.Status.REVOKED
    assert install.token is None


def test_nothing_goes_without_a_customer(opentrain: OpenTrain) -> None:
    with pytest.raises(LookupError, match="connect"):
        opentrain.link("1")


# Trainers ---------------------------------------------------------------------------------------


def test_a_trainer_gets_in_with_the_hire_and_out_with_its_end(linked: OpenTrain) -> None:
    maria = linked.hire("Maria S.")
    linked.run()
    user = User.objects.get(email=maria.work_email)
    assert user.groups.count() == 1
    assert maria.participant.display_name == "Maria S."

    linked.end(maria)
    linked.run()
    assert user.groups.count() == 0
    assert maria.grant.state == AccessGrant.State.REVOKED


def test_a_work_email_comes_later(linked: OpenTrain) -> None:
    maria = linked.hire(work_email="later")
    linked.run()
    assert maria.grant.state == AccessGrant.State.WAITING_FOR_EMAIL
    linked.release_email(maria)
    linked.run()
    assert maria.grant.state == AccessGrant.State.WAITING_FOR_EMAIL, "it wasn't asked for again yet"
    linked.travel(minutes=1)
    linked.run()
    assert maria.grant.state == AccessGrant.State.GRANTED
    assert maria.participant.work_email == maria.work_email


def test_a_work_email_may_never_come(linked: OpenTrain) -> None:
    maria = linked.hire(work_email=None)
    linked.travel(days=30)
    linked.run()
    assert maria.grant.state == AccessGrant.State.WAITING_FOR_EMAIL


def test_a_trainer_is_hired_again(linked: OpenTrain) -> None:
    first = linked.hire("Maria S.", work_email="maria@opentrain.work")
    linked.change_email(first, "m.silva@opentrain.work")
    second = linked.hire(again=first)
    linked.run()
    assert second.participant == first.participant
    assert second.participant.work_email == "m.silva@opentrain.work"


# Budgets ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_work_consumes_what_was_funded(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.fund(maria, hours=100)
    linked.run()
    linked.consume(maria, hours=79.5)
    assert maria.contract.consumed_fraction == Decimal("0.795")
    assert maria.contract.budget_state == "OK"

    linked.consume(maria, hours=0.5, labels=7)
    linked.run()
    assert maria.contract.announced_budget_state == "LOW"
    assert max(maria.usage) == linked.today
    assert sum(seconds or 0 for seconds in maria.usage.values()) == 80 * 3600
    types = set(WebhookEvent.objects.values_list("type", flat=True))
    assert {"milestone.funded", "milestone.budget_low"} <= types


def test_labels_are_funded_and_consumed(linked: OpenTrain) -> None:
    install = Install.objects.get()
    job = linked.sandbox.create_job(
        "Boxes", organization_id=install.organization_id, payment_type=catalog.PAY_PER_LABEL
    )
    linked.link("2", job=job.id)
    maria = linked.hire()
    linked.run()
    linked.fund(maria.contract, labels=1000)
    report = linked.consume(maria.contract, labels=1000, tasks=10)
    assert report.accepted == 1
    assert maria.contract.budget_state == "DEPLETED"


def test_tasks_and_labels_are_counted_too(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.run()
    linked.consume(maria, tasks=3, labels=5)
    day = maria.contract.usage.get()
    assert (day.total_seconds, day.tasks_completed, day.labels_completed) == (0, 3, 5)


# What goes wrong --------------------------------------------------------------------------------


def test_calls_fail_as_often_as_ordered(opentrain: OpenTrain) -> None:
    install = opentrain.connect()
    opentrain.fail_next(status=500, times=2)
    for _ in range(2):
        with pytest.raises(ServerError):
            install.client.get_install()
    assert install.client.get_install().id == install.opentrain_id


def test_only_the_calls_that_match_fail(opentrain: OpenTrain) -> None:
    install = opentrain.connect()
    opentrain.fail_next(status=429, match="GET /contracts", retry_after="120")
    assert install.client.get_install().id == install.opentrain_id
    with pytest.raises(RateLimited) as refused:
        install.client.list_contracts()
    assert refused.value.retry_after == 120


def test_a_lost_response_took_effect(opentrain: OpenTrain) -> None:
    install = opentrain.connect()
    opentrain.lose_next_response()
    link = opentrain.link("1")
    assert link.status == ProjectLink.Status.ACTIVE, "it was looked up"
    assert [each.external_project_id for each in install.client.list_project_links()] == ["1"]


# Deliveries and work ----------------------------------------------------------------------------


def test_deliveries_are_stored_and_take_effect_with_the_next_run(linked: OpenTrain) -> None:
    linked.run()
    maria = linked.hire()
    assert linked.deliver() == 1
    assert linked.deliver() == 0
    assert WebhookEvent.objects.get(status=WebhookEvent.Status.PENDING).resource_id == maria.id
    assert not AccessGrant.objects.exists()
    linked.run()
    assert maria.grant.state == AccessGrant.State.GRANTED


def test_a_receiver_that_refuses_is_granted_of(linked: OpenTrain, settings: Any) -> None:
    linked.run()
    linked.hire()
    settings.MIDDLEWARE = ["tests.testing.middleware.forbid_everything"]
    with pytest.raises(DeliveryFailed, match=r"contract\.started to /opentrain/webhooks/.*: HTTP 403"):
        linked.run()
    settings.MIDDLEWARE = []
    linked.run()
    assert not AccessGrant.objects.exists(), "the retry comes in a minute"
    linked.travel(minutes=1)
    linked.run()
    assert AccessGrant.objects.get().state == AccessGrant.State.GRANTED


def test_a_receiver_that_crashes_shows_its_error(linked: OpenTrain, settings: Any) -> None:
    linked.hire()
    settings.MIDDLEWARE = ["tests.testing.middleware.crash"]
    with pytest.raises(DeliveryFailed, match="ZeroDivisionError") as failed:
        linked.deliver()
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_work_that_never_ends_is_granted_of(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = sweep.WorkReport(events=0, grants=0, installs=0, budgets=0, usage=1)
    monkeypatch.setattr(sweep, "run", lambda: busy)
    with pytest.raises(StillBusy, match="usage=1"):
        opentrain.run()


def test_what_waits_for_the_commit_happens(linked: OpenTrain) -> None:
    """The transaction around a test never commits: the invitation and the signal have to come all the same."""
    granted: list[AccessGrant] = []

    def note(grant: AccessGrant, **_: Any) -> None:
        granted.append(grant)

    access_granted.connect(note)
    try:
        with TestCase.captureOnCommitCallbacks(execute=True):
            maria = linked.hire()
            linked.run()
    finally:
        access_granted.disconnect(note)
    assert granted == [maria.grant], "once, also when Django's own helper is around it"
    assert [message.to for message in mail.outbox] == [[maria.work_email]]


@pytest.mark.django_db(transaction=True)
def test_it_works_where_transactions_commit(linked: OpenTrain) -> None:
    assert not transaction.get_connection().in_atomic_block
    maria = linked.hire()
    linked.run()
    assert maria.grant.state == AccessGrant.State.GRANTED
    assert len(mail.outbox) == 1


# Time -------------------------------------------------------------------------------------------


def test_time_stands_still_until_somebody_travels(opentrain: OpenTrain) -> None:
    before = timezone.now()
    opentrain.travel(days=1, hours=2, minutes=3, seconds=4)
    gone = timezone.now() - before
    assert gone - timedelta(days=1, hours=2, minutes=3, seconds=4) < timedelta(milliseconds=1)
    assert abs(opentrain.sandbox.clock.now() - timezone.now().timestamp()) < 0.001


@pytest.mark.parametrize("hour", [0, 11, 23])
def test_a_test_begins_at_noon_at_whatever_hour_it_runs(hour: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2028, 2, 29, hour, 59, 59, tzinfo=tz.utc)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    with OpenTrain() as opentrain:
        assert opentrain.now - datetime(2028, 2, 29, 12, tzinfo=tz.utc) < timedelta(milliseconds=1)
        assert opentrain.today == moment.date()


def test_what_comes_later_is_later(opentrain: OpenTrain) -> None:
    moments = [timezone.now() for _ in range(1000)]
    assert moments == sorted(set(moments))
    assert moments[-1] - moments[0] < timedelta(seconds=1)


def test_a_site_without_time_zones_is_refused_at_once(settings: Any) -> None:
    settings.USE_TZ = False
    with pytest.raises(ImproperlyConfigured, match="E026"):
        OpenTrain()


# Before and after -------------------------------------------------------------------------------


def test_it_leaves_everything_as_it_was() -> None:
    session = shared_session()
    adapters, now = dict(session.adapters), timezone.now
    with OpenTrain() as opentrain:
        assert session.get_adapter(opentrain.sandbox.base_url + "/api") not in adapters.values()
        assert timezone.now is not now
        assert conf.max_retries == 0
    assert dict(session.adapters) == adapters
    assert timezone.now is now


def test_its_settings_stand_whatever_a_test_sets(opentrain: OpenTrain, settings: Any) -> None:
    settings.OPENTRAIN = {
        **settings.OPENTRAIN,
        "DISPATCH": "celery",
        "MAX_RETRIES": 9,
        "BASE_URL": "https://app.opentrain.ai",
        "REVOKE_GRACE": 7,
    }
    assert conf.dispatch == "none"
    assert conf.max_retries == 0
    assert conf.base_url == opentrain.sandbox.base_url
    assert conf.revoke_grace == 7


def test_its_settings_stand_in_the_last_test_of_a_long_run() -> None:
    here = conf.max_retries
    for number in range(1100):
        with forced_settings({"MAX_RETRIES": number}):
            assert {conf.max_retries for _ in range(20)} == {number}
        assert {conf.max_retries for _ in range(20)} == {here}


def test_the_site_asks_for_its_scopes_only(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "SCOPES": ["contracts:read"]}
    with OpenTrain() as opentrain:
        assert opentrain.sandbox.approve().install.scopes == ["contracts:read"]
