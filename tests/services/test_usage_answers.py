"""What OpenTrain's answers leave open: a day refused before it was over, and a report that takes effect late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from datetime import timezone as tz
from typing import Any

import pytest
import requests

from django_opentrain.conf import OpenTrainSettings
from django_opentrain.errors import LeaseLostError
from django_opentrain.models import DailyUsage, Install
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import OpenTrainConnectionError
from django_opentrain.platform.resources import UsageResult
from django_opentrain.sandbox.models import Usage
from django_opentrain.sandbox.transport import SandboxAdapter
from django_opentrain.services import connect, linking, usage
from django_opentrain.services.usage import reporting, runs
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain

pytestmark = pytest.mark.django_db

DUE, REPORTED, REFUSED, _WITHHELD = DailyUsage.Status.values


def hire_and_wait(opentrain: OpenTrain) -> Hire:
    opentrain.connect("acme")
    opentrain.link("p1")
    hire = opentrain.hire()
    opentrain.travel(days=10)
    opentrain.run()
    return hire


@pytest.fixture
def maria(opentrain: OpenTrain) -> Hire:
    return hire_and_wait(opentrain)


def stored(opentrain: OpenTrain) -> dict[str, int | None]:
    """What OpenTrain has, by day."""
    return {row.work_date: row.total_seconds for row in opentrain.sandbox.store.all(Usage)}


def quarters(opentrain: OpenTrain, hours: float) -> int:
    """The schedule's runs of so many hours; how many reports were sent."""
    before = len(sent(opentrain))
    for _quarter in range(round(hours * 4)):
        opentrain.travel(minutes=15)
        runs.run_due()
    return len(sent(opentrain)) - before


def sent(opentrain: OpenTrain) -> list[int]:
    return [call.status for call in opentrain.sandbox.calls if call.path.endswith("/usage")]


# Days that OpenTrain may hold to be in the future ------------------------------------------------


def count_days_elsewhere(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch, behind: timedelta) -> None:
    """OpenTrain's clock is behind, or it counts its days in a zone to the west."""

    def today() -> str:
        return (datetime.fromtimestamp(opentrain.clock.now(), tz.utc) - behind).date().isoformat()

    monkeypatch.setattr(opentrain.clock, "today", today)


def to_midnight(opentrain: OpenTrain) -> None:
    now = opentrain.now
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=5, second=0, microsecond=0)
    opentrain.travel(seconds=(tomorrow - now).total_seconds())


@pytest.mark.long
@pytest.mark.parametrize(
    ("behind", "hours"),
    [(timedelta(minutes=20), 12.25), (timedelta(hours=8), 12.25), (timedelta(hours=20), 36.25)],
    ids=["clock behind", "in the west", "both"],
)
def test_a_day_that_opentrain_held_to_be_in_the_future_is_reported_when_it_is_over(
    opentrain: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch, behind: timedelta, hours: float
) -> None:
    to_midnight(opentrain)
    count_days_elsewhere(opentrain, monkeypatch, behind)
    usage.record(maria.contract, usage.today(), total_seconds=60)
    day = usage.today().isoformat()
    assert usage.report(maria.contract).refused == 1
    row = DailyUsage.objects.get()
    assert (row.status, row.retry_at) == (REFUSED, datetime.combine(row.work_date, time(12), tz.utc)), (
        "visible"
    )
    assert quarters(opentrain, hours) <= 2
    assert stored(opentrain) == {day: 60}
    row.refresh_from_db()
    assert (row.status, row.error, row.retry_at) == (REPORTED, "", None)


@pytest.mark.slow
def test_another_refusal_of_such_a_day_is_retried_twice_at_most(opentrain: OpenTrain, maria: Hire) -> None:
    usage.record(maria.contract, usage.today(), total_seconds=60, worker_id="usr_stranger")
    to_midnight(opentrain)
    usage.record(maria.contract, usage.today(), total_seconds=60, worker_id="usr_stranger")
    usage.report(maria.contract)
    assert quarters(opentrain, 24 * 4) <= 4
    assert set(DailyUsage.objects.values_list("status", "retry_at")) == {(REFUSED, None)}


@pytest.mark.slow
def test_a_day_that_was_over_everywhere_is_not_retried(opentrain: OpenTrain, maria: Hire) -> None:
    usage.record(
        maria.contract, usage.today() - timedelta(days=2), total_seconds=60, worker_id="usr_stranger"
    )
    usage.report(maria.contract)
    assert DailyUsage.objects.get().retry_at is None
    assert quarters(opentrain, 48) == 0


def test_a_corrected_total_does_not_wait(opentrain: OpenTrain, maria: Hire, monkeypatch: Any) -> None:
    to_midnight(opentrain)
    count_days_elsewhere(opentrain, monkeypatch, timedelta(minutes=20))
    usage.record(maria.contract, usage.today(), total_seconds=60)
    usage.report(maria.contract)
    opentrain.travel(minutes=30)
    usage.record(maria.contract, usage.today(), total_seconds=61)
    assert usage.report(maria.contract).accepted == 1


@pytest.mark.long
def test_a_customer_who_leaves_waits_for_such_a_day(
    opentrain: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_midnight(opentrain)
    count_days_elsewhere(opentrain, monkeypatch, timedelta(hours=8))
    usage.record(maria.contract, usage.today(), total_seconds=60)
    day = usage.today().isoformat()
    connect.disconnect(Install.objects.get())
    for _hour in range(14):
        opentrain.run()
        opentrain.travel(hours=1)
    assert stored(opentrain) == {day: 60}
    assert Install.objects.get().token is None


# Reports that take effect late -------------------------------------------------------------------


class Wire:
    """The way to OpenTrain, on which the next report is held up: no answer comes, and it arrives later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._send = SandboxAdapter.send
        self._armed = False
        self.late: list[Callable[[], object]] = []
        wire = self

        def send(adapter: SandboxAdapter, request: requests.PreparedRequest, **options: Any) -> Any:
            if wire._armed and str(request.url).endswith("/usage"):
                wire._armed = False
                wire.late.append(lambda: wire._send(adapter, request, **options))
                raise requests.ReadTimeout("Read timed out.", request=request)
            return wire._send(adapter, request, **options)

        monkeypatch.setattr(SandboxAdapter, "send", send)

    def hold_up(self) -> None:
        self._armed = True

    def arrive(self) -> None:
        self.late.pop()()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("minutes", [0, 1, 9])
def test_a_report_that_takes_effect_late_overwrites_no_newer_total(
    opentrain: OpenTrain, maria: Hire, wire: Wire, minutes: int
) -> None:
    day = usage.today()
    usage.record(maria.contract, day, total_seconds=60)
    wire.hold_up()
    runs.run_due()
    assert maria.contract.report_error_code == "OPENTRAIN_UNAVAILABLE"
    usage.record(maria.contract, day, total_seconds=90)
    for minute in range(16):
        if minute == minutes:
            wire.arrive()
        runs.run_due()
        opentrain.travel(minutes=1)
    assert stored(opentrain) == {day.isoformat(): 90}
    assert DailyUsage.objects.get().status == REPORTED
    assert maria.contract.report_unconfirmed_until is None


def test_what_waits_for_a_late_report_is_held(opentrain: OpenTrain, maria: Hire, wire: Wire) -> None:
    usage.record(maria.contract, usage.today(), total_seconds=60)
    wire.hold_up()
    with pytest.raises(OpenTrainConnectionError):
        usage.report(maria.contract)
    assert (usage.report(maria.contract).held, len(sent(opentrain))) == (1, 0)
    opentrain.travel(seconds=reporting.LATEST_EFFECT.total_seconds())
    assert usage.report(maria.contract).accepted == 1


def test_a_process_that_ends_during_a_report_leaves_its_outcome_open(
    opentrain: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_arguments: Any, **_options: Any) -> None:
        raise SystemExit

    usage.record(maria.contract, usage.today(), total_seconds=60)
    with monkeypatch.context() as context:
        context.setattr(SandboxAdapter, "send", die)
        with pytest.raises(SystemExit):
            runs.run_due()
    assert runs.run_due() == 0
    opentrain.travel(seconds=reporting.LATEST_EFFECT.total_seconds())
    assert runs.run_due() == 1


def test_a_report_that_was_retried_at_once_may_take_effect_late(
    opentrain: OpenTrain, maria: Hire, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own retry was answered, its first attempt was not."""
    day = usage.today()
    monkeypatch.setattr(OpenTrainSettings, "max_retries", 1)
    usage.record(maria.contract, day, total_seconds=60)
    wire.hold_up()
    assert usage.report(maria.contract).unconfirmed
    assert DailyUsage.objects.get().status == REPORTED
    usage.record(maria.contract, day, total_seconds=90)
    assert runs.run_due() == 0
    wire.arrive()
    opentrain.travel(minutes=15)
    assert runs.run_due() == 1
    assert stored(opentrain) == {day.isoformat(): 90}


def test_an_answer_leaves_nothing_open(opentrain: OpenTrain, maria: Hire) -> None:
    for status in (404, 400, None):
        usage.record(maria.contract, usage.today(), total_seconds=status or 60)
        if status:
            opentrain.fail_next(status=status, match="POST .*usage")
        runs.run_due()
        assert maria.contract.report_unconfirmed_until is None
        opentrain.travel(minutes=1)
    assert len(sent(opentrain)) == 3


def test_a_link_that_goes_takes_the_newest_total_along(opentrain: OpenTrain, maria: Hire, wire: Wire) -> None:
    """OpenTrain takes no usage after it."""
    day = usage.today()
    usage.record(maria.contract, day, total_seconds=60)
    wire.hold_up()
    runs.run_due()
    usage.record(maria.contract, day, total_seconds=90)
    linking.unlink(maria.contract.links.get())
    assert stored(opentrain) == {day.isoformat(): 90}


def test_a_report_that_stood_still_sends_nothing_older_than_another_has_sent(
    opentrain: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine was suspended between two calls, until its lease and its mark were over."""
    earlier, later = (usage.today() - timedelta(days=number) for number in (2, 1))
    for day in (earlier, later):
        usage.record(maria.contract, day, total_seconds=60)
    monkeypatch.setattr(catalog, "MAX_USAGE_ENTRIES", 1)
    report = PlatformClient.report_usage

    def and_stand_still(*arguments: Any) -> UsageResult:
        answer = report(*arguments)
        monkeypatch.setattr(PlatformClient, "report_usage", report)
        opentrain.travel(minutes=11)
        usage.record(maria.contract, later, total_seconds=120)
        assert usage.report(maria.contract).accepted
        return answer

    monkeypatch.setattr(PlatformClient, "report_usage", and_stand_still)
    with pytest.raises(LeaseLostError):
        usage.report(maria.contract)
    assert stored(opentrain)[later.isoformat()] == 120
    assert not DailyUsage.objects.exclude(status=REPORTED).exists()


def test_what_was_accepted_before_a_failure_is_reported(
    opentrain: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 1):
        usage.record(maria.contract, usage.today() - timedelta(days=number), total_seconds=60)
    monkeypatch.setattr(catalog, "MAX_USAGE_ENTRIES", 1)
    report = PlatformClient.report_usage

    def the_next_one_fails(*arguments: Any) -> UsageResult:
        answer = report(*arguments)
        opentrain.fail_next(status=404, match="POST .*usage")
        return answer

    monkeypatch.setattr(PlatformClient, "report_usage", the_next_one_fails)
    runs.run_due()
    assert [row.status for row in DailyUsage.objects.order_by("work_date")] == [REPORTED, DUE]
