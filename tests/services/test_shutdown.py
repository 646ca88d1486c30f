"""On SIGTERM a worker ends after the item in hand; the next sweep does the rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from django_opentrain import tasks
from django_opentrain.models import WebhookEndpoint, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.services import usage
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.played import a_customer


@pytest.mark.timeout(60)
def test_a_task_in_a_process_of_the_pool_learns_of_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.shutdown_worker"], stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "working\n"
        worker.terminate()
        assert "shutting down" in worker.communicate(timeout=30)[0].splitlines()
        assert worker.returncode == 0


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "shutting_down", lambda: True)


@pytest.mark.usefixtures("ending")
@pytest.mark.parametrize("task", [tasks.drain, tasks.sweep])
def test_events_wait_for_the_next_worker(opentrain: OpenTrain, task: Callable[[], None]) -> None:
    """The item in hand are one customer's next events: they are one transaction."""
    a_customer(opentrain)
    endpoints = [WebhookEndpoint.objects.get()]
    endpoints += [factories.make_endpoint(factories.make_install(name)) for name in ("globex", "initech")]
    for endpoint in endpoints:
        for number in range(2):
            factories.make_event(endpoint, event_id=f"e{number}", type=catalog.CONTRACT_STARTED)
    task()
    waiting = WebhookEvent.objects.due(timezone.now()).values_list("endpoint", flat=True)
    assert len(waiting) == 4
    assert len(set(waiting)) == 2


@pytest.mark.long
@pytest.mark.usefixtures("ending")
def test_endpoints_and_usage_wait_for_the_next_worker(opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    opentrain.link("p1")
    hire = opentrain.hire()
    opentrain.run()
    usage.record(hire.contract, timezone.now().date() - timedelta(days=1), total_seconds=60)
    before = len(opentrain.sandbox.calls)
    tasks.collect_and_report_usage()
    tasks.check_endpoints()
    assert len(opentrain.sandbox.calls) == before
