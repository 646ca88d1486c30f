"""Calls to OpenTrain that are on their way at once, and the work around them, which stays in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from django_opentrain.models import DailyUsage, Install
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import RateLimited
from django_opentrain.services import usage
from django_opentrain.services.usage import runs
from django_opentrain.services.workers.calls import MAX_AT_ONCE, Steps, alone, together
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain

PATIENCE = 20


class Line:
    """OpenTrain's end of the line: it answers once so many calls have come in, or are not to be waited for."""

    def __init__(self, at_once: int) -> None:
        self._all_there = threading.Barrier(at_once)
        self.threads: set[int] = set()

    def call(self) -> int:
        self.threads.add(threading.get_ident())
        return self._all_there.wait(PATIENCE)


def asking(*calls: Callable[[], Any], then: Callable[[Any], object] = id) -> Steps[Any, list[Any]]:
    """Makes these calls one after the other; returns their answers."""
    answers = []
    for call in calls:
        answers.append((yield call))
        then(answers[-1])
    return answers


def test_alone_all_is_done_in_this_thread() -> None:
    assert alone(asking(threading.get_ident, threading.get_ident)) == [threading.get_ident()] * 2


def test_calls_are_on_their_way_at_once_and_the_rest_stays_here() -> None:
    line = Line(at_once=3)
    resumed: list[int] = []
    works = [asking(line.call, then=lambda _: resumed.append(threading.get_ident())) for _ in range(3)]
    assert sorted(answer for [answer] in together(works)) == [0, 1, 2]
    assert threading.get_ident() not in line.threads
    assert set(resumed) == {threading.get_ident()}


def test_no_more_than_so_many_calls_are_made_at_once() -> None:
    now, most = [0], [0]
    changing = threading.Lock()
    full = threading.Event()

    def call() -> None:
        with changing:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] >= MAX_AT_ONCE:
                full.set()
        assert full.wait(PATIENCE)
        with changing:
            now[0] -= 1

    assert len(list(together([asking(call) for _ in range(3 * MAX_AT_ONCE)]))) == 3 * MAX_AT_ONCE
    assert most[0] == MAX_AT_ONCE


def test_ones_calls_follow_one_another() -> None:
    order: list[str] = []
    works = [asking(*(lambda name=name: order.append(name) for name in (f"{n}a", f"{n}b"))) for n in range(5)]
    list(together(works))
    assert all(order.index(f"{n}a") < order.index(f"{n}b") for n in range(5))


def test_an_error_is_raised_where_the_call_was_asked_for() -> None:
    def fail() -> None:
        raise RateLimited("Slow down.", status=429, code="RATE_LIMITED", retry_after=1)

    def steps() -> Steps[Any, str]:
        with pytest.raises(RateLimited):
            yield fail
        return "went on"

    assert alone(steps()) == "went on"
    assert list(together([steps(), steps()])) == ["went on"] * 2


def test_after_a_pause_was_asked_for_calls_are_made_one_by_one() -> None:
    """Whether the limit is the install's or the app's is not documented."""
    now, most = [0], [0]
    changing = threading.Lock()

    def limited() -> None:
        raise RateLimited("Slow down.", status=429, code="RATE_LIMITED", retry_after=1)

    def call() -> None:
        with changing:
            now[0] += 1
            most[0] = max(most[0], now[0])
        with changing:
            now[0] -= 1

    def refused() -> Steps[Any, None]:
        with pytest.raises(RateLimited):
            yield limited

    works: list[Steps[Any, Any]] = [refused() for _ in range(MAX_AT_ONCE)]
    list(together([*works, *(asking(call, call, call) for _ in range(10))]))
    assert most[0] == 1


def test_what_ends_one_closes_the_others() -> None:
    line = Line(at_once=2)
    closed: list[bool] = []

    def waiting() -> Steps[Any, None]:
        try:
            yield threading.Event().wait if closed else line.call
            yield lambda: None
        finally:
            closed.append(True)

    def ending() -> Steps[Any, None]:
        yield line.call
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        list(together([waiting(), ending()]))
    assert closed == [True]


# Reports of several customers ------------------------------------------------------------------


@pytest.fixture
def crew(opentrain: OpenTrain) -> list[Hire]:
    """A trainer of each of two customers, with a day to report."""
    crew = []
    for tenant, project in (("acme", "p1"), ("globex", "g1")):
        opentrain.connect(tenant)
        opentrain.link(project)
        crew.append(opentrain.hire())
        opentrain.run()
    for hire in crew:
        usage.record(hire.contract, usage.today(), total_seconds=60)
    return crew


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    line = Line(at_once=2)
    report = PlatformClient.report_usage

    def report_when_all_are_there(*arguments: Any) -> Any:
        line.call()
        return report(*arguments)

    monkeypatch.setattr(PlatformClient, "report_usage", report_when_all_are_there)
    return line


@pytest.mark.long
@pytest.mark.django_db
def test_customers_reports_do_not_wait_for_each_other(crew: list[Hire], line: Line) -> None:
    assert runs.run_due() == 2
    assert set(DailyUsage.objects.values_list("status", flat=True)) == {DailyUsage.Status.REPORTED}
    assert not Install.objects.exclude(lease=None).exists()
    assert {hire.contract.report_unconfirmed_until for hire in crew} == {None}
    assert threading.get_ident() not in line.threads


@pytest.mark.long
@pytest.mark.django_db
def test_a_time_limit_leaves_what_is_on_its_way_unconfirmed(
    crew: list[Hire], line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_arguments: Any, **_options: Any) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr("django_opentrain.services.usage.reporting._mark_reported", end)
    with pytest.raises(SoftTimeLimitExceeded):
        runs.run_due()
    assert not Install.objects.exclude(lease=None).exists(), "others may go on"
    assert None not in {hire.contract.report_unconfirmed_until for hire in crew}, "but send nothing newer yet"
    assert set(DailyUsage.objects.values_list("status", flat=True)) == {DailyUsage.Status.DUE}
