"""Which contracts the host is asked for: where it can say what has changed, those, and each once a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_opentrain.adapters import DayUsage
from django_opentrain.models import Contract, DailyUsage, Install
from django_opentrain.services.usage import changes, runs
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_install
from tests.services.conftest import RecordingAdapter

pytestmark = pytest.mark.django_db


class Telling(RecordingAdapter):
    """A host that says what has changed."""

    #: What it answers, and for which times it was asked.
    changed: Iterable[Contract] | None = ()
    asked: list[datetime]
    collected: list[int]

    def usage_changed_since(self, since: datetime) -> Iterable[Contract] | None:
        type(self).asked.append(since)
        if isinstance(self.changed, Exception):
            raise self.changed
        return self.changed

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        type(self).collected.append(contract.pk)
        return [DayUsage(work_date=until, total_seconds=60)] if contract.trainer else []


@pytest.fixture(autouse=True)
def telling(settings: Any, site: Any) -> type[Telling]:
    Telling.changed, Telling.asked, Telling.collected = (), [], []
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Telling"}
    return Telling


@pytest.fixture
def maria(linked: OpenTrain) -> Hire:
    """Collected from lately."""
    hire = linked.hire()
    linked.run()
    linked.travel(minutes=15)
    Telling.collected.clear()
    return hire


def test_contracts_that_have_not_changed_are_not_asked_for(linked: OpenTrain, maria: Hire) -> None:
    runs.run_due()
    assert Telling.collected == []


@pytest.mark.long
def test_what_has_changed_is_collected_and_reported_at_once(linked: OpenTrain, maria: Hire) -> None:
    Telling.changed = Contract.objects.filter(pk=maria.contract.pk)
    DailyUsage.objects.all().delete()
    assert runs.run_due() == 1
    assert Telling.collected == [maria.contract.pk]
    Telling.changed = ()
    runs.run_due()
    assert Telling.collected == [maria.contract.pk]


def test_it_is_asked_for_what_changed_since_it_was_asked_last(linked: OpenTrain, maria: Hire) -> None:
    runs.run_due()
    asked_at = linked.now
    linked.travel(hours=5)
    runs.run_due()
    overlap = asked_at - Telling.asked[-1]
    assert timedelta(minutes=5) < overlap < timedelta(hours=1), "transactions may commit late"


def test_a_host_that_can_not_say_is_asked_for_all(linked: OpenTrain, maria: Hire) -> None:
    Telling.changed = None
    runs.run_due()
    assert Telling.collected == [maria.contract.pk]


@pytest.mark.long
def test_a_failure_is_asked_for_again_and_keeps_nothing_else_waiting(
    linked: OpenTrain, maria: Hire, caplog: pytest.LogCaptureFixture
) -> None:
    runs.run_due()
    asked = Telling.asked[-1]
    Telling.changed = RuntimeError("no such table: maria.s@opentrain.work")  # type: ignore[assignment] # raised
    DailyUsage.objects.update(status=DailyUsage.Status.DUE)
    linked.travel(hours=1)
    assert runs.run_due() == 1
    assert "usage_changed_since failed: RuntimeError: no such table" in caplog.text
    assert "maria.s@" not in caplog.text
    Telling.changed = Contract.objects.all()
    linked.travel(hours=1)
    runs.run_due()
    assert Telling.asked[-1] == Telling.asked[-2] > asked
    assert Telling.collected == [maria.contract.pk]


@pytest.mark.long
def test_what_is_named_stays_due_until_it_is_collected(linked: OpenTrain, maria: Hire) -> None:
    Install.objects.update(paused_until=timezone.now() + timedelta(minutes=30))
    Telling.changed = Contract.objects.all()
    runs.run_due()
    Telling.changed = ()
    assert Telling.collected == []
    linked.travel(hours=1)
    runs.run_due()
    assert Telling.collected == [maria.contract.pk]


def test_where_nothing_is_new_a_run_costs_three_statements(
    linked: OpenTrain, maria: Hire, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        other = make_contract(make_install(f"customer {number}"))
        Contract.objects.filter(pk=other.pk).update(usage_collected_at=timezone.now())
    with django_assert_num_queries(3):
        assert runs.run_due() == 0


def test_contracts_that_have_ended_long_ago_are_not_collected(linked: OpenTrain, maria: Hire) -> None:
    Contract.objects.update(status=Contract.Status.ENDED, ended_at=timezone.now() - timedelta(days=8))
    Telling.changed = Contract.objects.all()
    runs.run_due()
    assert Telling.collected == []


@pytest.mark.long
def test_each_contract_is_collected_once_a_day_and_not_all_at_once(linked: OpenTrain, maria: Hire) -> None:
    install = maria.contract.install
    Contract.objects.bulk_create(
        Contract(install=install, opentrain_id=f"ctr_{number}", usage_collected_at=timezone.now())
        for number in range(changes.QUARTERS - 1)
    )
    Contract.objects.update(usage_collected_at=timezone.now())
    for day in (1, 2):
        sizes = []
        for _quarter in range(changes.QUARTERS):
            linked.travel(minutes=15)
            Telling.collected.clear()
            runs.run_due()
            sizes.append(len(Telling.collected))
        assert (day, sum(sizes), max(sizes)) == (day, changes.QUARTERS, 1)
