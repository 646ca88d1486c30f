"""Celery's tasks: thin, and none hangs with the host's code indefinitely."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from django_opentrain import tasks
from django_opentrain.models import AccessGrant, Install
from django_opentrain.schedule import BEAT_SCHEDULE
from django_opentrain.services import reconcile, sweep
from django_opentrain.services.usage import runs
from django_opentrain.testing.kit import OpenTrain
from tests.played import a_customer
from tests.services.conftest import Host

CALLING_THE_HOST = ["drain", "sweep", "converge_access", "reconcile_install", "reconcile_all"]


@pytest.mark.parametrize("name", [*CALLING_THE_HOST, "collect_and_report_usage"])
def test_a_call_that_hangs_is_broken_off(name: str) -> None:
    task: Any = getattr(tasks, name)
    assert 0 < task.soft_time_limit < task.time_limit <= 65 * 60


def test_beat_runs_tasks_that_there_are() -> None:
    names = {getattr(tasks, name).name for name in dir(tasks) if hasattr(getattr(tasks, name), "apply_async")}
    assert {entry["task"] for entry in BEAT_SCHEDULE.values()} < names


@pytest.mark.django_db
def test_a_sweep_leaves_installs_to_the_next_one(
    opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an hour's reconciliations would keep the sign of life back, and be killed in the end."""
    for tenant in ("acme", "globex"):
        opentrain.connect(tenant)
    opentrain.travel(hours=1)
    monkeypatch.setattr("django_opentrain.tasks.MAX_SWEEP_SECONDS", 0)
    reconcile.request_all()
    due = Install.objects.filter(next_reconcile_at__isnull=False)
    for left in (1, 0):
        tasks.drain()
        assert due.count() == left
    reconcile.request_all()
    assert sweep.run().installs == 2


@pytest.mark.django_db
def test_sweeps_that_waited_in_one_queue_come_to_one(opentrain: OpenTrain, site: Host) -> None:
    """Behind a host's slow tasks they wait for longer than the time between two of them."""
    a_customer(opentrain)
    opentrain.link("p1")
    tasks.sweep()
    maria = opentrain.hire()
    opentrain.deliver()
    tasks.sweep()
    assert site.calls == [], "there was a sweep a moment ago"
    opentrain.travel(seconds=30)
    tasks.sweep()
    assert maria.grant.state == AccessGrant.State.GRANTED


@pytest.mark.parametrize("name", ["drain", "sweep", "collect_and_report_usage"])
def test_a_lock_that_lasts_is_no_error(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, db: None
) -> None:
    """The next message finds what is due."""

    def fail(**_options: Any) -> None:
        raise error

    monkeypatch.setattr(tasks, "process_due", fail)
    monkeypatch.setattr(runs, "run_due", fail)
    error = OperationalError("database is locked")
    getattr(tasks, name)()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    error = OperationalError("no such table")
    with pytest.raises(OperationalError):
        getattr(tasks, name)()


def test_each_message_expires_whatever_scheduler_sends_it() -> None:
    """django-celery-beat's scheduler loses the options of a schedule's entry, but not a task's own."""
    for entry in BEAT_SCHEDULE.values():
        task: Any = getattr(tasks, entry["task"].removeprefix("django_opentrain."))
        assert task.expires >= 9 * 60
