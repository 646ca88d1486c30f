"""Collecting calls the host's code: an attempt that ends its process is counted, and keeps no one else waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models.functions import TruncDate
from django.utils import timezone

from django_opentrain.adapters import DayUsage, day_bounds
from django_opentrain.models import Contract, DailyUsage, Install
from django_opentrain.platform.client import PlatformClient
from django_opentrain.services import doctor
from django_opentrain.services.usage import runs
from django_opentrain.services.workers.retries import backoff
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import RecordingAdapter

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """The process is gone: no line of ours runs any more."""


def hire_three(opentrain: OpenTrain) -> list[Hire]:
    opentrain.connect("acme")
    opentrain.link("p1")
    first = [opentrain.hire("Al"), opentrain.hire("Bo")]
    opentrain.run()
    opentrain.connect("globex")
    opentrain.link("g1")
    crew = [*first, opentrain.hire("Cy")]
    opentrain.run()
    return crew


@pytest.fixture
def crew(opentrain: OpenTrain) -> list[Hire]:
    """Three trainers, the first two of one customer; the site collects in this order."""
    return hire_three(opentrain)


class Collected(list[str]):
    """The contracts for which the host was asked; what it does for some of them; all others worked a minute."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.acts: dict[str, Callable[[], Any]] = {}
        monkeypatch.setattr(RecordingAdapter, "collect_usage", self.collect)

    def collect(self, contract: Contract, _since: date, until: date) -> list[DayUsage]:
        self.append(contract.opentrain_id)
        if act := self.acts.get(contract.opentrain_id):
            act()
        return [DayUsage(work_date=until, total_seconds=60)]


@pytest.fixture
def collected(crew: list[Hire], monkeypatch: pytest.MonkeyPatch) -> Collected:
    return Collected(monkeypatch)


def exits() -> None:
    raise SystemExit(1)


def reported() -> set[str]:
    rows = DailyUsage.objects.filter(status=DailyUsage.Status.REPORTED)
    return set(rows.values_list("contract__opentrain_id", flat=True))


def killed_run(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose process dies in the host's code; then the time until a next one may take the lease."""
    with monkeypatch.context() as context:
        context.setattr(runs, "_note_failure", lambda *_arguments: None)
        with pytest.raises(Killed):
            runs.run_due()
    # No ``finally`` ran either: the lease stays.
    Install.objects.update(leased_until=timezone.now())
    opentrain.travel(minutes=15)


@pytest.mark.long
def test_a_killed_attempt_keeps_no_other_contract_waiting(
    opentrain: OpenTrain, crew: list[Hire], collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, others = crew[0], {crew[1].id, crew[2].id}

    def die() -> None:
        raise Killed

    collected.acts[bad.id] = die
    killed_run(opentrain, monkeypatch)
    assert (collected, reported()) == ([bad.id], set())
    killed_run(opentrain, monkeypatch)
    assert reported() == others, "they came before it"
    assert bad.contract.collect_attempts == 2
    assert "didn't finish" in bad.contract.collect_error


@pytest.mark.long
def test_an_attempt_without_an_outcome_is_visible_in_the_next_run(
    opentrain: OpenTrain,
    crew: list[Hire],
    collected: Collected,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Contract.objects.filter(opentrain_id=crew[0].id).update(
        collect_attempts=1, next_collect_at=timezone.now() + backoff(9)
    )
    runs.run_due()
    assert crew[0].id not in collected
    assert "didn't finish" in crew[0].contract.collect_error
    assert "the process that collected usage ended in the host's code, in 1 contract(s)" in caplog.text
    opentrain.travel(hours=2)
    runs.run_due()
    assert (crew[0].contract.collect_error, crew[0].contract.collect_attempts) == ("", 0)
    assert crew[0].id in reported()


@pytest.mark.long
def test_a_host_that_exits_leaves_a_trace_and_no_lease(
    opentrain: OpenTrain, crew: list[Hire], collected: Collected
) -> None:
    collected.acts[crew[0].id] = exits
    with pytest.raises(SystemExit):
        runs.run_due()
    assert (crew[0].contract.collect_error, crew[0].contract.collect_attempts) == ("SystemExit: 1", 1)
    assert not Install.objects.exclude(lease=None).exists()
    opentrain.travel(minutes=15)
    with pytest.raises(SystemExit):
        runs.run_due()
    assert reported() == {crew[1].id, crew[2].id}


@pytest.mark.long
def test_retries_are_less_and_less_often(
    opentrain: OpenTrain, crew: list[Hire], collected: Collected
) -> None:
    def fail() -> None:
        raise RuntimeError("no such table")

    collected.acts[crew[0].id] = fail
    for _quarter in range(4 * 12):
        runs.run_due()
        opentrain.travel(minutes=15)
    assert 10 < collected.count(crew[0].id) < 20
    assert collected.count(crew[1].id) == 4 * 12
    assert crew[0].contract.next_collect_at is not None


@pytest.mark.long
def test_work_of_which_the_database_can_not_tell_the_day_is_never_dropped_silently(
    opentrain: OpenTrain, crew: list[Hire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL and MariaDB without time zone tables: each day is NULL."""

    def collect(_adapter: RecordingAdapter, contract: Contract, since: date, until: date) -> list[DayUsage]:
        begin, end = day_bounds(since, until)
        rows = Contract.objects.filter(pk=contract.pk, created_at__gte=begin, created_at__lt=end)
        day = TruncDate("created_at", tzinfo=ZoneInfo("Europe/Berlin"))
        days = rows.annotate(day=day).values_list("day", flat=True)
        return [DayUsage(work_date=day, total_seconds=60) for day in days]

    monkeypatch.setattr(RecordingAdapter, "collect_usage", collect)
    runs.run_due()
    if connection.features.has_zoneinfo_database:
        assert reported() == {hire.id for hire in crew}
    else:
        assert "must be a date without a time, not None" in crew[0].contract.collect_error
        assert {"usage-uncollected"} <= {found.id for found in doctor.examine(offline=True)}


@pytest.mark.long
def test_two_workers_do_not_ask_for_one_contract_at_once(crew: list[Hire], collected: Collected) -> None:
    seen = Contract.objects.get(opentrain_id=crew[0].id)
    collected.acts[crew[0].id] = lambda: runs._collect(seen)
    runs.run_due()
    assert collected.count(crew[0].id) == 1


@pytest.mark.long
def test_a_report_that_fails_as_no_one_expects_keeps_no_other_contract_waiting(
    crew: list[Hire], collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_usage = PlatformClient.report_usage

    def fail(client: PlatformClient, contract_id: str, entries: Any) -> Any:
        if contract_id == crew[0].id:
            raise ArithmeticError("a budget that no column holds")
        return report_usage(client, contract_id, entries)

    monkeypatch.setattr(PlatformClient, "report_usage", fail)
    assert runs.run_due() == 2
    assert reported() == {crew[1].id, crew[2].id}
    assert crew[0].contract.report_error == "ArithmeticError: a budget that no column holds"
    assert crew[0].contract.next_report_at is not None
