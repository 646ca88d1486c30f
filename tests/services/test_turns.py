"""When an install is reconciled: every three hours while its events demonstrably arrive, else every hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_opentrain import tasks
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Heartbeat,
    Install,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.schedule import BEAT_SCHEDULE
from django_opentrain.services import endpoints, reconcile
from django_opentrain.services.workers import heartbeat, turns
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_endpoint, make_event, make_install
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
#: How long a turn may be away after a sync that had none of its own, with the ten minutes between two plannings.
LATEST = turns.TRUSTED + HOUR / 2 + 10 * MINUTE


def trusted(tenant: str = "acme", **values: Any) -> Install:
    """An install whose events have arrived for a day, without anything that no event said."""
    now = timezone.now()
    synced = {"in_sync_since": now - 2 * DAY, "reconciled_at": now}
    install = make_install(tenant, **{**synced, **values})
    make_event(make_endpoint(install), status=WebhookEvent.Status.PROCESSED, received_at=now - DAY)
    return install


def waits(opentrain: OpenTrain) -> timedelta:
    """How long the install waits for its next turn after a reconciliation that is done now."""
    began = timezone.now()
    Install.objects.update(reconciled_at=began)
    while True:
        turns.plan()
        turn = Install.objects.get().next_reconcile_at
        if turn is not None:
            return turn - began
        opentrain.travel(minutes=10)


def beat(opentrain: OpenTrain, until: Callable[[], bool]) -> timedelta:
    """Run what is scheduled until something is so; how long that took."""
    began = timezone.now()
    while not until():
        assert timezone.now() - began < 5 * HOUR
        opentrain.travel(minutes=10)
        heartbeat.beat()
        for name in ("opentrain-endpoints", "opentrain-reconcile"):
            run_scheduled(name)
        opentrain.run()
    return timezone.now() - began


def run_scheduled(name: str) -> None:
    entry = BEAT_SCHEDULE[name]
    task: Any = getattr(tasks, entry["task"].removeprefix("django_opentrain."))
    task(**entry["kwargs"])


def a_quiet_day(opentrain: OpenTrain) -> None:
    """Until it is trusted."""
    opentrain.run()
    reconcile.install(Install.objects.get())
    opentrain.travel(days=1)
    heartbeat.beat()
    reconcile.install(Install.objects.get())
    assert intervals() == [turns.TRUSTED]


def intervals() -> list[timedelta]:
    planned = Install.objects.exclude(next_reconcile_at=None)
    assert not planned.exists()
    return [interval for _pk, _at, interval in turns._waiting(timezone.now())]


# How often ------------------------------------------------------------------------------------


def about(hours: float) -> Any:
    return pytest.approx(timedelta(hours=hours), abs=timedelta(minutes=31))


def test_where_events_arrive_the_next_turn_is_in_three_hours(opentrain: OpenTrain) -> None:
    trusted()
    assert waits(opentrain) == about(3)


def _an_endpoint(**values: Any) -> Callable[[], object]:
    return lambda: WebhookEndpoint.objects.update(**values)


def _an_install(**values: Any) -> Callable[[], object]:
    return lambda: Install.objects.update(**values)


def _an_event(status: str, **age: float) -> Callable[[], object]:
    return lambda: make_event(
        WebhookEndpoint.objects.get(), status=status, received_at=timezone.now() - timedelta(**age)
    )


Status = WebhookEndpoint.Status
DOUBTS: dict[str, Callable[[], object]] = {
    "deliveries fail": _an_endpoint(consecutive_failures=1),
    "OpenTrain has disabled the endpoint": _an_endpoint(status=Status.DISABLED),
    "the endpoint is paused": _an_endpoint(status=Status.PAUSED),
    "the endpoint is being created": _an_endpoint(status=Status.PENDING),
    "the endpoint has an error": _an_endpoint(last_error="refused"),
    "there is no endpoint": _an_endpoint(status=Status.REMOVED),
    "one of two endpoints is being replaced": lambda: make_endpoint(
        Install.objects.get(), status=Status.RETIRING
    ),
    "something was found within a day": lambda: Install.objects.update(
        in_sync_since=timezone.now() - timedelta(hours=20)  # by the kit's clock, not the one at import
    ),
    "something was found the last time": _an_install(in_sync_since=None),
    "OpenTrain refuses calls": _an_install(last_error="refused"),
    "OpenTrain refuses the token": _an_install(status=Install.Status.UNAUTHORIZED),
    "the last run failed": _an_install(reconcile_attempts=1),
    "removals are held": _an_install(removals_held=6),
    "an event failed": _an_event("FAILED", hours=20),
    "an event waits": _an_event("PENDING", minutes=11),
    "sweeps were silent": turns.distrust_all,
}


@pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS)
def test_what_puts_that_in_doubt_makes_it_an_hour(opentrain: OpenTrain, doubt: Callable[[], object]) -> None:
    trusted()
    opentrain.travel(seconds=1)
    assert intervals() == [turns.TRUSTED]
    doubt()
    assert intervals() == [turns.IN_DOUBT]
    if doubt is not turns.distrust_all:
        assert waits(opentrain) == about(1)


@pytest.mark.parametrize(
    "settled",
    [_an_event("PROCESSED", minutes=11), _an_event("PENDING", minutes=9), _an_event("FAILED", hours=25)],
)
def test_what_is_normal_is_no_doubt(opentrain: OpenTrain, settled: Callable[[], object]) -> None:
    trusted()
    settled()
    assert intervals() == [turns.TRUSTED]


def test_one_customers_trouble_is_not_anothers(opentrain: OpenTrain) -> None:
    trusted()
    failing = trusted("globex").webhook_endpoints.get()
    WebhookEndpoint.objects.filter(pk=failing.pk).update(consecutive_failures=3)
    make_event(failing, status="FAILED")
    assert intervals() == [turns.TRUSTED, turns.IN_DOUBT]


def test_a_site_that_leaves_out_events_asks_each_hour(opentrain: OpenTrain, settings: Any) -> None:
    trusted()
    for left_out in catalog.EVENT_TYPES:
        types = [each for each in catalog.EVENT_TYPES if each != left_out]
        settings.OPENTRAIN = {**settings.OPENTRAIN, "EVENT_TYPES": types}
        assert intervals() == [turns.IN_DOUBT]


def test_an_install_is_trusted_after_a_quiet_day(linked: OpenTrain) -> None:
    reconcile.install(Install.objects.get())
    assert intervals() == [turns.IN_DOUBT]
    linked.travel(hours=23, minutes=59)
    assert intervals() == [turns.IN_DOUBT]
    linked.travel(minutes=1)
    assert intervals() == [turns.TRUSTED]


def test_without_any_delivery_nothing_is_demonstrated(opentrain: OpenTrain) -> None:
    opentrain.connect("acme")
    assert not WebhookEvent.objects.exists()
    opentrain.travel(hours=1)
    reconcile.install(Install.objects.get())
    assert Install.objects.get().in_sync_since is None


# In turn --------------------------------------------------------------------------------------


def test_turns_are_spread_over_the_hour(opentrain: OpenTrain, django_assert_num_queries: Any) -> None:
    for number in range(60):
        make_install(f"acme {number}", reconciled_at=timezone.now() - HOUR)
    with django_assert_num_queries(1 + 1 + 60):
        assert turns.plan() == 60
    given = sorted(filter(None, Install.objects.values_list("next_reconcile_at", flat=True)))
    pauses = {after - before for before, after in pairwise(given)}
    assert pauses == {MINUTE}
    now = timezone.now()
    assert now - MINUTE < given[0] <= given[-1] <= now + HOUR
    with django_assert_num_queries(2):
        assert turns.plan() == 0


def test_an_install_keeps_its_minute(opentrain: OpenTrain) -> None:
    trusted()
    given: set[datetime] = set()
    for _tick in range(24 * 6):
        opentrain.travel(minutes=10)
        turns.plan()
        install = Install.objects.get()
        if install.next_reconcile_at and install.next_reconcile_at <= timezone.now():
            given.add(install.next_reconcile_at)
            # A while late.
            Install.objects.update(next_reconcile_at=None, reconciled_at=timezone.now())
    ordered = sorted(given)
    assert {after - before for before, after in pairwise(ordered)} == {3 * HOUR}


def test_a_request_does_not_wait_for_its_turn(opentrain: OpenTrain) -> None:
    make_install(reconciled_at=timezone.now() - HOUR)
    turns.plan()
    assert reconcile.request_all() == 1
    assert (Install.objects.get().next_reconcile_at or timezone.now() + DAY) <= timezone.now()
    assert turns.plan() == 0
    assert (Install.objects.get().next_reconcile_at or timezone.now() + DAY) <= timezone.now()


def test_ended_connections_have_no_turn(opentrain: OpenTrain) -> None:
    for status in (Install.Status.PENDING, Install.Status.REVOKED, Install.Status.DISCONNECTED):
        make_install(status, status=status)
    assert turns.plan() == 0
    assert turns.request_due() == 0


def test_without_beat_an_install_is_due_when_its_time_has_come(opentrain: OpenTrain) -> None:
    now = timezone.now()
    for hours, expected in ((2.9, 0), (3, 1)):
        Install.objects.all().delete()
        trusted(reconciled_at=now - timedelta(hours=hours))
        assert turns.request_due() == expected
    for hours, expected in ((0.9, 0), (1, 1)):
        Install.objects.all().delete()
        make_install(reconciled_at=now - timedelta(hours=hours))
        assert turns.request_due() == expected


# Faults: how long each stays unnoticed --------------------------------------------------------


def a_trainer_whose_events_arrive(opentrain: OpenTrain, site: Host) -> Hire:
    maria = opentrain.hire()
    a_quiet_day(opentrain)
    assert site.inside
    return maria


def swallow(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """From now on deliveries are answered before they reach us."""
    monkeypatch.setattr(opentrain.sandbox.engine, "sender", lambda *_arguments: status)


def test_an_end_whose_delivery_is_swallowed_is_found_within_three_hours(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as by a maintenance page that answers 200."""
    maria = a_trainer_whose_events_arrive(linked, site)
    swallow(linked, monkeypatch, status=200)
    linked.end(maria)
    assert beat(linked, lambda: not site.inside) <= LATEST
    assert intervals() == [turns.IN_DOUBT], "events don't arrive"


def test_a_receiver_that_is_down_is_noticed_by_the_next_turn(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = a_trainer_whose_events_arrive(linked, site)
    swallow(linked, monkeypatch, status=503)
    linked.end(maria)
    assert beat(linked, lambda: not site.inside) <= LATEST
    assert WebhookEndpoint.objects.get().consecutive_failures
    assert intervals() == [turns.IN_DOUBT]


def test_an_endpoint_that_is_disabled_silently_is_found_and_all_are_looked_at(
    linked: OpenTrain, site: Host
) -> None:
    """A disabled one may be the first that was looked at of many."""
    a_trainer_whose_events_arrive(linked, site)
    other = trusted("globex", next_reconcile_at=timezone.now() + 30 * DAY)
    remote = WebhookEndpoint.objects.get(install__tenant="acme").opentrain_id
    Install.objects.get(tenant="acme").client.update_webhook_endpoint(remote, status="DISABLED")

    def enabled() -> bool:
        listed = Install.objects.get(tenant="acme").client.list_webhook_endpoints()
        return [info.status for info in listed] == ["ACTIVE"]

    assert beat(linked, enabled) <= LATEST
    Install.objects.update(next_reconcile_at=None)
    assert intervals()[1] == turns.IN_DOUBT
    Install.objects.filter(pk=other.pk).update(reconciled_at=timezone.now())
    assert intervals()[1] == turns.TRUSTED


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 0),
        ({"consecutive_failures": 1}, 1),
        ({"last_error": "refused"}, 1),
        ({"status": Status.DISABLED}, 1),
        ({"status": Status.REMOVED}, 1),
        ({"status": Status.PAUSED}, 0),
        ({"url": "https://former.example/opentrain/webhooks/1/"}, 1),
    ],
)
def test_endpoints_at_which_something_is_wrong_are_looked_at_each_ten_minutes(
    linked: OpenTrain, values: dict[str, Any], expected: int
) -> None:
    WebhookEndpoint.objects.update(**values)
    since = len(linked.sandbox.calls)
    assert endpoints.check_all(doubtful=True) == expected
    assert bool(len(linked.sandbox.calls) - since) == bool(expected)


@pytest.mark.parametrize("scheduled", [tasks.sweep, lambda: call_command("opentrain_work")])
def test_after_downtime_all_are_looked_at_within_an_hour(
    linked: OpenTrain, site: Host, scheduled: Callable[[], object]
) -> None:
    """What went down with us, OpenTrain may have given up."""
    a_trainer_whose_events_arrive(linked, site)
    for silence, interval in ((MINUTE, turns.TRUSTED), (6 * MINUTE, turns.IN_DOUBT)):
        reconcile.install(Install.objects.get())
        heartbeat.beat()
        linked.travel(seconds=silence.total_seconds())
        scheduled()
        assert intervals() == [interval]
    reconcile.install(Install.objects.get())
    assert intervals() == [turns.TRUSTED]


def test_the_first_sweep_ever_puts_nothing_in_doubt(opentrain: OpenTrain) -> None:
    Heartbeat.objects.all().delete()
    tasks.sweep()
    assert heartbeat.last(heartbeat.DELIVERIES_MISSED) is None


@pytest.mark.parametrize(
    "happens",
    [
        lambda: endpoints.rotate_secret(WebhookEndpoint.objects.get()),
        lambda: endpoints.recover(WebhookEndpoint.objects.get()),
        lambda: Contract.objects.update(title="another"),
        lambda: AccessGrant.objects.all().delete(),
    ],
    ids=["a new secret", "re-enabled", "another title", "a lost grant"],
)
def test_what_no_event_said_begins_a_new_day(
    linked: OpenTrain, site: Host, happens: Callable[[], object]
) -> None:
    a_trainer_whose_events_arrive(linked, site)
    happens()
    reconcile.install(Install.objects.get())
    linked.run()
    assert intervals() == [turns.IN_DOUBT]


def test_the_schedule_plans_turns_and_looks_at_doubtful_endpoints(linked: OpenTrain) -> None:
    a_quiet_day(linked)
    linked.run()
    since = len(linked.sandbox.calls)
    linked.travel(minutes=10)
    for name in ("opentrain-endpoints", "opentrain-reconcile"):
        run_scheduled(name)
    assert len(linked.sandbox.calls) == since


def test_all_at_once_is_still_what_it_was(linked: OpenTrain) -> None:
    """For sites whose own schedule has these tasks."""
    a_quiet_day(linked)
    since = len(linked.sandbox.calls)
    tasks.check_endpoints()
    assert len(linked.sandbox.calls) - since == 1
    tasks.reconcile_all()
    assert len(linked.sandbox.calls) - since == 4
