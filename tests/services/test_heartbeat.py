"""Signs of life."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_opentrain import tasks
from django_opentrain.models import Heartbeat, WebhookEvent
from django_opentrain.models.webhooks import FAILING_AFTER
from django_opentrain.services import health
from django_opentrain.services.workers import heartbeat
from tests import factories

pytestmark = pytest.mark.django_db


def swept(ago: timedelta = timedelta()) -> None:
    Heartbeat.objects.create(name=heartbeat.SWEEP, beat_at=timezone.now() - ago)


def waiting(ago: timedelta, **values: Any) -> WebhookEvent:
    endpoint = factories.make_endpoint(factories.make_install())
    return factories.make_event(endpoint, received_at=timezone.now() - ago, **values)


def test_the_scheduled_sweep_and_the_command_leave_one_sign_of_life() -> None:
    tasks.sweep()
    first = Heartbeat.objects.get()
    call_command("opentrain_work")
    second = Heartbeat.objects.get(name=heartbeat.SWEEP)
    assert (second.pk, second.name) == (first.pk, heartbeat.SWEEP)
    assert second.beat_at > first.beat_at
    assert second.host


def test_a_nudge_is_no_sign_that_beat_runs() -> None:
    tasks.drain()
    assert not Heartbeat.objects.exists()


def test_one_query_tells_how_it_goes(django_assert_num_queries: Any) -> None:
    swept()
    waiting(timedelta(minutes=1))
    with django_assert_num_queries(1):
        pulse = health.pulse()
    assert pulse.healthy
    assert 0 <= (pulse.sweep_age or -1) < 60
    assert 60 <= (pulse.backlog_age or 0) < 120


def test_a_site_on_which_nothing_ever_ran_is_not_healthy() -> None:
    assert health.pulse() == health.Pulse(sweep_age=None, conditions=("beat-silent",))
    assert not health.pulse().healthy


@pytest.mark.parametrize(("minutes", "healthy"), [(4, True), (6, False)])
def test_sweeps_that_stopped_are_noticed(minutes: int, healthy: bool) -> None:
    swept(timedelta(minutes=minutes))
    assert health.pulse().healthy is healthy


@pytest.mark.parametrize(("minutes", "healthy"), [(4, True), (6, False)])
def test_events_that_nobody_takes_are_noticed(minutes: int, healthy: bool) -> None:
    swept()
    waiting(timedelta(minutes=minutes))
    waiting(timedelta(days=2), status=WebhookEvent.Status.PROCESSED)
    assert health.pulse().healthy is healthy


def test_an_event_is_as_late_as_its_next_attempt() -> None:
    swept()
    waiting(timedelta(hours=3), next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert health.pulse().backlog_age is None
    waiting(timedelta(hours=3), next_attempt_at=timezone.now() - timedelta(minutes=1))
    assert 60 <= (health.pulse().backlog_age or 0) < 120


@pytest.mark.parametrize(
    ("values", "conditions"),
    [
        ({"attempts": FAILING_AFTER - 1}, ()),
        ({"attempts": FAILING_AFTER}, ("events-failing",)),
        ({"attempts": 20, "status": WebhookEvent.Status.FAILED}, ("events-failed",)),
        ({"attempts": FAILING_AFTER, "status": WebhookEvent.Status.PROCESSED}, ()),
    ],
)
def test_an_event_that_fails_each_time_is_noticed_between_its_attempts(
    values: dict[str, Any], conditions: tuple[str, ...], django_assert_num_queries: Any
) -> None:
    swept()
    waiting(timedelta(hours=3), next_attempt_at=timezone.now() + timedelta(minutes=50), **values)
    with django_assert_num_queries(1):
        pulse = health.pulse()
    assert (pulse.backlog_age, pulse.conditions, pulse.healthy) == (None, conditions, not conditions)
