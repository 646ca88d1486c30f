"""The clock is set back: nothing waits longer than it would have otherwise, and it is seen."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models
from django.utils import timezone

from django_opentrain import tasks
from django_opentrain.models import AccessGrant, Contract, Heartbeat, Install, Participant, TrainerAccount
from django_opentrain.services import clock, health, reconcile, sweep
from django_opentrain.services.workers import heartbeat, locks
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
State = AccessGrant.State


@contextmanager
def set_back(by: timedelta = HOUR) -> Iterator[None]:
    now = timezone.now

    def earlier() -> datetime:
        return now() - by

    with mock.patch("django.utils.timezone.now", earlier):
        yield


def failing_removal(linked: OpenTrain, site: Host) -> AccessGrant:
    """One that failed a moment ago, and is due again in some seconds."""
    maria = linked.hire()
    linked.run()
    site.failing["revoke_access"] = RuntimeError("not now")
    linked.end(maria)
    linked.run()
    site.failing.clear()
    heartbeat.beat()
    assert maria.grant.state == State.FAILED
    return maria.grant


def test_a_removal_is_retried_by_the_next_round(linked: OpenTrain, site: Host) -> None:
    grant = failing_removal(linked, site)
    with set_back():
        call_command("opentrain_work")
    grant.refresh_from_db()
    assert grant.state == State.REVOKED
    assert site.inside == set()


def test_a_round_that_was_under_way_hides_nothing(linked: OpenTrain, site: Host) -> None:
    """Its heartbeat comes after the clock was set back."""
    grant = failing_removal(linked, site)
    with set_back():
        heartbeat.beat()
        tasks.sweep()
    grant.refresh_from_db()
    assert grant.state == State.REVOKED


def test_without_it_a_wait_is_kept(linked: OpenTrain, site: Host) -> None:
    grant = failing_removal(linked, site)
    with set_back(timedelta(seconds=30)):
        call_command("opentrain_work")
    before = grant.next_attempt_at
    grant.refresh_from_db()
    assert (grant.state, grant.next_attempt_at) == (State.FAILED, before)


def test_a_dead_workers_lease_ends_as_usual(linked: OpenTrain) -> None:
    now = timezone.now()
    heartbeat.beat()
    Install.objects.update(
        lease=uuid.uuid4(), leased_until=now + locks.LEASE, next_reconcile_at=now + timedelta(minutes=2)
    )
    with set_back():
        sweep.process_due()
        assert (Install.objects.get().leased_until or now) <= timezone.now() + locks.LEASE
    with set_back(HOUR - locks.LEASE):
        assert reconcile.install(Install.objects.get()) is not None
    assert Install.objects.get().lease is None


def test_a_customer_who_does_not_come_back_loses_access_in_time(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    heartbeat.beat()
    Install.objects.update(status=Install.Status.REVOKED, revoked_at=timezone.now())
    with set_back():
        sweep.process_due()
        assert maria.grant.desired == AccessGrant.Desired.GRANTED
    with set_back(timedelta(minutes=44)):
        sweep.process_due()
    assert maria.grant.state == State.REVOKED


def columns() -> list[tuple[type[models.Model], str]]:
    """All columns that wait for a moment."""
    return [
        (model, field.name)
        for model in apps.get_app_config("django_opentrain").get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.DateTimeField)
        and (field.name.startswith("next_") or field.name.endswith(("_until", "retire_at", "expires_at")))
    ]


def test_every_wait_is_shortened() -> None:
    covered = {(rows.model, column) for rows, column, _longest in clock._waits()}
    assert len(columns()) > 10
    assert set(columns()) <= covered


def test_no_wait_lasts_longer_than_it_can(linked: OpenTrain, django_assert_num_queries: Any) -> None:
    linked.hire()
    linked.run()
    factories.make_trainer_account(factories.make_user())
    ahead = timezone.now() + 2 * HOUR
    TrainerAccount.objects.update(invitation=TrainerAccount.Invitation.FAILED, next_invitation_at=ahead)
    for model in (Install, Participant, Contract, AccessGrant):
        names = [name for each, name in columns() if each is model]
        model._default_manager.update(**dict.fromkeys(names, ahead))
    heartbeat.beat()
    with set_back():
        clock.correct_waits()
        longest = timezone.now() + timedelta(minutes=10)
    tried = (Install, Participant, Contract, AccessGrant, TrainerAccount)
    for waiting, name in columns():
        if waiting in tried:
            assert getattr(waiting._default_manager.get(), name) <= longest, (waiting, name)
    with set_back(), django_assert_num_queries(1):
        clock.correct_waits()


def test_it_is_no_healthy_state() -> None:
    heartbeat.beat()
    with set_back():
        assert health.pulse().conditions == (health.CLOCK_SET_BACK,)
        tasks.sweep()
        assert health.pulse().healthy
    assert Heartbeat.objects.get().beat_at <= datetime.now(tz=timezone.now().tzinfo)
