"""Hourly contracts on a site that measures no time."""

from __future__ import annotations

from typing import Any

import pytest

from django_opentrain.adapters import OpenTrainAdapter
from django_opentrain.models import Contract
from django_opentrain.services import linking, usage, work
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import RecordingAdapter

TIMER = "django_opentrain.middleware.timer"


class Timeless(RecordingAdapter):
    measures_time = False
    observes_work = True


def hire_two(opentrain: OpenTrain) -> None:
    opentrain.connect()
    opentrain.link("p1")
    opentrain.hire()
    opentrain.link("p2", job="Another job")
    opentrain.hire("João P.")
    opentrain.run()
    maria, joao = Contract.objects.order_by("pk")
    Contract.objects.filter(pk=maria.pk).update(payment_type="PAY_PER_HOUR")
    Contract.objects.filter(pk=joao.pk).update(payment_type="PAY_PER_LABEL")


@pytest.fixture
def hourly(opentrain: OpenTrain, settings: Any) -> OpenTrain:
    """Maria is paid by the hour, João by the label."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Timeless"}
    hire_two(opentrain)
    return opentrain


def found() -> list[Contract]:
    return list(usage.unmeasured(Contract.objects.all()))


def test_hours_that_nothing_measures_are_found(hourly: OpenTrain) -> None:
    assert found() == [Contract.objects.earliest("pk")]


def test_not_where_the_timer_measures_them(hourly: OpenTrain, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, TIMER]
    assert found() == []
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PAGES": ["customer", "trainer"]}
    assert found() == [Contract.objects.earliest("pk")]


def test_not_where_the_site_does(hourly: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OpenTrainAdapter.measures_time
    monkeypatch.setattr(Timeless, "measures_time", True)
    assert found() == []


def test_not_where_they_are_tracked_elsewhere(hourly: OpenTrain) -> None:
    linking.configure(Contract.objects.earliest("pk").links.get(), hours_tracked_elsewhere=True)
    assert found() == []


@pytest.mark.parametrize(("measured", "seconds"), [(False, None), (True, 0)])
def test_what_nothing_measures_is_not_reported_as_zero(
    hourly: OpenTrain, monkeypatch: pytest.MonkeyPatch, measured: bool, seconds: int | None
) -> None:
    """OpenTrain may have hours from elsewhere, which a zero would replace."""
    monkeypatch.setattr(Timeless, "measures_time", measured)
    contract = Contract.objects.earliest("pk")
    work.observe(contract.grants.get().host_user_ref, "p1", "SUBMITTED", object_id="t1", tasks=1)
    usage.collect(contract)
    assert [(day.total_seconds, day.tasks_completed) for day in contract.usage.all()] == [(seconds, 1)]


def test_hours_that_were_corrected_to_none_are(hourly: OpenTrain) -> None:
    contract = Contract.objects.earliest("pk")
    hourly.travel(minutes=10)
    work.observe(contract.grants.get().host_user_ref, "p1", "SUBMITTED", object_id="t1", seconds=60, tasks=1)
    usage.collect(contract)
    assert contract.usage.get().total_seconds == 60
    usage.correct(contract, hourly.today, seconds=-60, reason="Agreed with both", by="operator")
    assert contract.usage.get().total_seconds == 0
