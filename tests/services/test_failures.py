"""A fault of our own, or of the host's: one customer's never keeps the others waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_opentrain.models import DailyUsage, Install
from django_opentrain.services import endpoints, reconcile, usage
from django_opentrain.services.reconcile import snapshot
from django_opentrain.services.usage import reporting, runs
from django_opentrain.testing.kit import OpenTrain

pytestmark = pytest.mark.django_db


def connect_two(opentrain: OpenTrain) -> None:
    for tenant, project in (("acme", "p1"), ("globex", "g1")):
        opentrain.connect(tenant)
        opentrain.link(project)
        opentrain.hire()
        opentrain.run()


@pytest.fixture
def customers(opentrain: OpenTrain) -> OpenTrain:
    """Two, of whom the first has the trouble; each with a trainer."""
    connect_two(opentrain)
    return opentrain


def troubled(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, which fails unexpectedly for the first customer."""

    def failing(first: Any, *arguments: Any) -> Any:
        install = first if isinstance(first, Install) else first.install
        if install.tenant == "acme":
            raise KeyError("maria.s@opentrain.work")
        return call(first, *arguments)

    return failing


def now() -> Any:
    return pytest.approx(timezone.now(), abs=timedelta(seconds=1))


def assert_logged(caplog: pytest.LogCaptureFixture, doing: str) -> None:
    [record] = [each for each in caplog.records if each.message.startswith(doing)]
    assert record.levelno == logging.ERROR
    assert "KeyError: [e-mail] (test_failures.py, line " in record.message


@pytest.mark.long
def test_reconciling(
    customers: OpenTrain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("django_opentrain.services.reconcile.runs.read_links", troubled(snapshot.read_links))
    customers.travel(hours=1)
    reconcile.request_all()
    assert reconcile.run_due() == 2
    acme, globex = Install.objects.order_by("tenant")
    assert globex.reconciled_at == now()
    again = acme.next_reconcile_at
    assert again is not None
    assert again > timezone.now(), "not at once"
    assert acme.last_error == "KeyError: [e-mail]"
    assert_logged(caplog, "Reconciling")


@pytest.mark.long
def test_reporting(
    customers: OpenTrain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for install in Install.objects.all():
        usage.record(install.contracts.get(), usage.today(), total_seconds=60)
    monkeypatch.setattr(reporting, "steps", troubled(reporting.steps))
    assert runs.run_due() == 1
    reported = DailyUsage.objects.get(status=DailyUsage.Status.REPORTED)
    assert reported.contract.install.tenant == "globex"
    assert_logged(caplog, "Reporting contract")


@pytest.mark.long
def test_checking_endpoints(
    customers: OpenTrain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoints, "ensure", troubled(endpoints.ensure))
    customers.travel(hours=1)
    assert endpoints.check_all() == 2
    globex = Install.objects.get(tenant="globex")
    assert globex.webhook_endpoints.get().checked_at == now()
    assert_logged(caplog, "Checking the endpoints of")
