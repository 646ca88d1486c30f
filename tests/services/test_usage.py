"""Usage: every second is kept, and reported until OpenTrain has it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from datetime import timezone as tz
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from django_opentrain.adapters import DayUsage, OpenTrainAdapter
from django_opentrain.models import Contract, DailyUsage, Install
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import BadRequest, NotFound, ServerError
from django_opentrain.platform.resources import MAX_TOTALS
from django_opentrain.platform.values import as_date
from django_opentrain.sandbox.models import Usage
from django_opentrain.services import connect, endpoints, reconcile, usage
from django_opentrain.services.access import contracts
from django_opentrain.services.usage import collecting, runs, withholding
from django_opentrain.services.usage.due import due_days
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_install, make_participant, make_usage
from tests.services.conftest import Host, RecordingAdapter

DUE, REPORTED, REFUSED, _WITHHELD = DailyUsage.Status.values


@pytest.fixture
def contract(db: None) -> Contract:
    install = make_install()
    return make_contract(install, trainer=make_participant(install, opentrain_user_id="usr_hired"))


def hire_and_wait(opentrain: OpenTrain) -> Hire:
    opentrain.connect("acme")
    opentrain.link("p1")
    opentrain.travel(days=10)
    hire = opentrain.hire()
    opentrain.travel(days=40)
    opentrain.run()
    return hire


@pytest.fixture
def maria(opentrain: OpenTrain) -> Hire:
    return hire_and_wait(opentrain)


def sent(opentrain: OpenTrain) -> dict[str, int | None]:
    """What OpenTrain has stored, by day."""
    rows = opentrain.sandbox.store.all(Usage)
    return {row.work_date: row.total_seconds for row in rows}


def days_ago(number: int) -> date:
    return usage.today() - timedelta(days=number)


# Writing down ---------------------------------------------------------------------------------


def test_record_sets_totals_and_keeps_what_is_left_out(contract: Contract) -> None:
    usage.record(contract, date(2026, 11, 1), total_seconds=600, tasks_completed=3)
    other = usage.record(contract, date(2026, 11, 2), labels_completed=1)
    row = usage.record(contract, date(2026, 11, 1), labels_completed=9)
    assert (row.total_seconds, row.tasks_completed, row.labels_completed) == (600, 3, 9)
    assert (row.status, row.revision) == (DUE, 2)
    other.refresh_from_db()
    assert (other.labels_completed, other.revision) == (1, 1)


@pytest.mark.parametrize("write", [usage.record, usage.add])
def test_the_hosts_own_report_id_is_kept_until_it_is_another(contract: Contract, write: Any) -> None:
    day = date(2026, 11, 1)
    assert write(contract, day, total_seconds=1, external_report_id="batch-7").external_report_id == "batch-7"
    assert write(contract, day, total_seconds=2).external_report_id == "batch-7"
    assert write(contract, day, total_seconds=3, external_report_id="batch-8").external_report_id == "batch-8"
    [due] = due_days(contract, elsewhere=withholding.is_tracked_elsewhere(contract))
    assert due.entry().external_report_id == "batch-8"


def test_recording_the_same_again_is_no_change(contract: Contract) -> None:
    usage.record(contract, date(2026, 11, 1), total_seconds=600)
    DailyUsage.objects.update(status=REPORTED, reported_revision=1)
    row = usage.record(contract, date(2026, 11, 1), total_seconds=600)
    assert (row.status, row.revision) == (REPORTED, 1)


def test_a_correction_downwards_of_one_total_is_due(contract: Contract) -> None:
    usage.record(contract, date(2026, 11, 1), total_seconds=600, tasks_completed=3)
    DailyUsage.objects.update(status=REFUSED, error="too many tasks")
    row = usage.record(contract, date(2026, 11, 1), total_seconds=600, tasks_completed=0)
    assert (row.status, row.error) == (DUE, "")
    assert (row.total_seconds, row.tasks_completed) == (600, 0)


def test_add_adds_to_what_is_there_or_not(contract: Contract) -> None:
    usage.add(contract, date(2026, 11, 1), total_seconds=600)
    usage.add(contract, date(2026, 11, 1), total_seconds=60, labels_completed=2)
    row = usage.add(contract, date(2026, 11, 1), labels_completed=1, external_report_id="batch-7")
    assert (row.total_seconds, row.labels_completed, row.tasks_completed) == (660, 3, None)
    assert (row.revision, row.external_report_id) == (3, "batch-7")


def test_the_hired_trainers_id_and_no_id_are_one_worker(contract: Contract) -> None:
    usage.add(contract, date(2026, 11, 1), total_seconds=1, worker_id="usr_hired")
    usage.add(contract, date(2026, 11, 1), total_seconds=1)
    usage.add(contract, date(2026, 11, 1), total_seconds=1, worker_id="usr_other")
    assert list(DailyUsage.objects.order_by("worker_id").values_list("worker_id", "total_seconds")) == [
        ("", 2),
        ("usr_other", 1),
    ]


@pytest.mark.parametrize(
    "totals",
    [{"total_seconds": -1}, {"total_seconds": 86401}, {"tasks_completed": -1}, {"labels_completed": 2**31}],
)
@pytest.mark.parametrize("write", [usage.record, usage.add])
def test_impossible_totals_are_refused(contract: Contract, write: Any, totals: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        write(contract, date(2026, 11, 1), **totals)
    assert not DailyUsage.objects.exists()


def test_a_moment_is_not_a_day(contract: Contract) -> None:
    with pytest.raises(ValueError, match="must be a date"):
        usage.record(contract, datetime(2026, 11, 1, tzinfo=tz.utc), total_seconds=1)


@pytest.mark.parametrize("day", ["new", "known"])
def test_an_addition_is_one_statement(contract: Contract, django_assert_num_queries: Any, day: str) -> None:
    if day == "known":
        usage.add(contract, days_ago(0), total_seconds=60)
    contract = Contract.objects.get()
    returned = connection.features.can_return_columns_from_insert
    with django_assert_num_queries(1 if returned else 2):
        row = usage.add(contract, days_ago(0), total_seconds=60, external_report_id="batch-7")
    stored = DailyUsage.objects.get()
    names = [field.attname for field in DailyUsage._meta.concrete_fields]
    assert [getattr(row, name) for name in names] == [getattr(stored, name) for name in names]


def test_an_addition_makes_a_day_due_again(contract: Contract) -> None:
    usage.add(contract, days_ago(0), total_seconds=60)
    DailyUsage.objects.update(
        status=REFUSED, error="no", error_code="BAD_REQUEST", retry_at=timezone.now(), reported_revision=1
    )
    row = usage.add(contract, days_ago(0), labels_completed=1)
    assert (row.status, row.error, row.error_code, row.retry_at) == (DUE, "", "", None)
    assert (row.revision, row.reported_revision, row.total_seconds, row.labels_completed) == (2, 1, 60, 1)
    assert row.created_at < row.updated_at


def test_nothing_added_is_no_change(contract: Contract) -> None:
    usage.add(contract, days_ago(0), total_seconds=60, external_report_id="batch-7")
    assert usage.add(contract, days_ago(0)).revision == 1
    assert usage.add(contract, days_ago(0), external_report_id="batch-8").external_report_id == "batch-8"


@pytest.mark.parametrize("returning", [True, False])
@pytest.mark.django_db(transaction=True)
def test_an_addition_is_repeated_and_counts_once(monkeypatch: pytest.MonkeyPatch, returning: bool) -> None:
    if returning and not connection.features.can_return_columns_from_insert:
        pytest.skip("This database returns no rows")
    contract = make_contract(make_install())
    usage.add(contract, days_ago(0), total_seconds=60)
    monkeypatch.delitem(vars(connection.features), "can_return_columns_from_insert", raising=False)
    monkeypatch.setattr(type(connection.features), "can_return_columns_from_insert", returning)
    statements: list[str] = []

    def undo_each_once(execute: Any, sql: str, *more: Any) -> Any:
        statements.append(sql.split(maxsplit=1)[0])
        if statements.count(statements[-1]) == 1:
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        return execute(sql, *more)

    with connection.execute_wrapper(undo_each_once):
        assert usage.add(contract, days_ago(0), total_seconds=60).total_seconds == 120
    assert statements == ["INSERT"] * 2 + ["SELECT"] * 2 * (not returning)


def test_who_was_hired_may_be_learned_after_the_contract_was_loaded(contract: Contract) -> None:
    hired = contract.trainer
    assert hired is not None
    Contract.objects.update(trainer=None)
    for count in (usage.add, usage.record):
        loaded = Contract.objects.get()
        contracts.set_trainer(Contract.objects.get(), hired)
        row = count(loaded, days_ago(0), total_seconds=60, worker_id=hired.opentrain_user_id)
        assert row.worker_id == ""
        Contract.objects.update(trainer=None)


def test_who_was_hired_may_be_learned_while_the_host_is_asked(
    contract: Contract, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired, ask = contract.trainer, RecordingAdapter.collect_usage
    assert hired is not None
    site.days = [
        DayUsage(work_date=days_ago(number), total_seconds=60, worker_id=hired.opentrain_user_id)
        for number in range(3)
    ]

    def and_learn(adapter: RecordingAdapter, asked: Contract, *days: date) -> Iterable[DayUsage]:
        contracts.set_trainer(Contract.objects.get(), hired)
        return ask(adapter, asked, *days)

    Contract.objects.update(trainer=None)
    usage.collect(Contract.objects.get())
    loaded = Contract.objects.get()
    monkeypatch.setattr(RecordingAdapter, "collect_usage", and_learn)
    usage.collect(loaded)
    assert list(DailyUsage.objects.values_list("worker_id", flat=True)) == [""] * 3


# Collecting -----------------------------------------------------------------------------------


def test_collecting_records_what_differs(contract: Contract, site: Host) -> None:
    Contract.objects.update(start_date=days_ago(60))
    contract.refresh_from_db()
    site.days = [DayUsage(work_date=days_ago(number), total_seconds=number) for number in range(50)]
    assert usage.collect(contract) == 50
    assert usage.collect(contract) == 0
    site.days[40] = DayUsage(work_date=days_ago(40), total_seconds=7, labels_completed=1)
    assert usage.collect(contract) == 1
    contract.refresh_from_db()
    assert contract.usage_collected_at is not None


def test_collecting_for_one_contract_is_nothing_for_another(contract: Contract, site: Host) -> None:
    other = make_contract(contract.install, trainer=contract.trainer)
    site.days = [DayUsage(work_date=days_ago(0), total_seconds=60)]
    assert usage.collect(other) == 1
    contract.refresh_from_db()
    assert contract.usage_collected_at is None
    assert usage.collect(contract) == 1


def test_a_collection_that_ends_after_midnight_has_not_asked_for_the_new_day(
    maria: Hire, opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = (opentrain.now + timedelta(days=1)).replace(hour=0, minute=0, second=0)
    opentrain.travel(seconds=(midnight - opentrain.now).total_seconds() - 30)
    collect = RecordingAdapter.collect_usage

    def slowly(adapter: RecordingAdapter, *days: Any) -> Any:
        opentrain.travel(minutes=1)
        return collect(adapter, *days)

    monkeypatch.setattr(RecordingAdapter, "collect_usage", slowly)
    usage.collect(maria.contract)
    assert not collecting.collected_today(maria.contract)


def test_a_day_that_can_not_be_kept_keeps_no_other_from_being_counted(
    contract: Contract, site: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    days = [
        DayUsage(work_date=timezone.now(), total_seconds=1),
        DayUsage(work_date=days_ago(0), total_seconds=2, worker_id="x" * 201),
        DayUsage(work_date=days_ago(0), total_seconds=3),
    ]
    monkeypatch.setattr(RecordingAdapter, "collect_usage", lambda *_arguments: days)
    assert usage.collect(contract) == 1
    assert DailyUsage.objects.get().total_seconds == 3
    assert len(caplog.records) == 1
    contract.refresh_from_db()
    assert contract.collect_error.startswith("2 days that were collected can't be true")
    assert "work_date must be a date" in contract.collect_error
    del days[:2]
    usage.collect(contract)
    contract.refresh_from_db()
    assert contract.collect_error == ""


def test_collecting_costs_the_same_however_many_days(
    contract: Contract, site: Host, django_assert_max_num_queries: Any
) -> None:
    Contract.objects.update(start_date=days_ago(200))
    contract = Contract.objects.select_related("trainer").get()
    site.days = [DayUsage(work_date=days_ago(number), total_seconds=1) for number in range(150)]
    # One for the insert; on SQLite, before Django 6, one for each 999 values.
    with django_assert_max_num_queries(7):
        usage.collect(contract)


def test_a_host_that_collects_nothing_is_not_asked(
    maria: Hire, opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(RecordingAdapter, "collect_usage", OpenTrainAdapter.collect_usage)
    collected = maria.contract.usage_collected_at
    opentrain.travel(days=2)
    with django_assert_num_queries(1):
        assert runs.run_due() == 0
    assert maria.contract.usage_collected_at == collected


def test_what_failed_is_repeated_where_the_host_collects_nothing_any_more(
    maria: Hire, opentrain: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.failing["collect_usage"] = RuntimeError("no such table")
    runs.run_due()
    assert maria.contract.collect_error
    monkeypatch.setattr(RecordingAdapter, "collect_usage", OpenTrainAdapter.collect_usage)
    opentrain.travel(hours=2)
    runs.run_due()
    assert maria.contract.collect_error == ""


def test_many_customers_without_anything_to_report_cost_no_more(
    maria: Hire, site: Host, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(RecordingAdapter, "collect_usage", OpenTrainAdapter.collect_usage)
    for number in range(5):
        make_contract(make_install(f"customer {number}"))
    with django_assert_num_queries(1):
        runs.run_due()


def test_an_impossible_day_does_not_cost_the_others(
    contract: Contract, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    site.days = [
        DayUsage(work_date=days_ago(0), total_seconds=90_000),
        DayUsage(work_date=days_ago(0), total_seconds=60, worker_id="usr_other"),
    ]
    assert usage.collect(contract) == 1
    assert "must be a whole number from 0 to 86400" in caplog.text


class AnotherInteger(int):
    """As those of numpy and pandas, which are no ``int``."""


class Asked(list[tuple[date, date]]):
    """The days for which the adapter was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(RecordingAdapter, "collect_usage", self.note)

    def note(self, _contract: Contract, since: date, until: date) -> list[DayUsage]:
        self.append((since, until))
        return []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("start_date", ["timestamp", "missing"])
def test_the_first_day_is_that_of_the_usage_time_zone(
    contract: Contract, asked: Asked, settings: Any, zone: str, start_date: str
) -> None:
    """OpenTrain reports the day in UTC: in the west it may have been the evening before."""
    start = datetime(2026, 11, 2, 1, tzinfo=tz.utc)
    settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": zone}
    settings.TIME_ZONE = "Pacific/Auckland"
    contract.start_date = None if start_date == "missing" else as_date(start.isoformat())
    contract.created_at = start
    usage.collect(contract)
    assert asked[0][0] == start.astimezone(ZoneInfo(zone)).date()


def test_a_contract_that_begins_later_is_asked_for_today(contract: Contract, asked: Asked) -> None:
    contract.start_date = usage.today() + timedelta(days=9)
    usage.collect(contract)
    assert asked == [(usage.today(), usage.today())]


def test_no_work_is_asked_for_after_the_end(contract: Contract, asked: Asked) -> None:
    """It may be another contract's: the same trainer can be hired again for the same project."""
    contract.start_date, contract.ended_at = days_ago(9), timezone.now() - timedelta(days=3)
    usage.collect(contract)
    assert asked == [(days_ago(9), days_ago(3))]


def test_days_that_were_not_asked_for_are_not_recorded(
    contract: Contract, site: Host, monkeypatch: Any
) -> None:
    contract.start_date = days_ago(5)
    days = [DayUsage(work_date=days_ago(number), total_seconds=60) for number in (-1, 0, 5, 6)]
    monkeypatch.setattr(RecordingAdapter, "collect_usage", lambda *_arguments: days)
    assert usage.collect(contract) == 2


@pytest.mark.parametrize("value", [12.0, Decimal(12), Decimal("12.00"), AnotherInteger(12)])
def test_totals_may_come_as_another_kind_of_whole_number(contract: Contract, site: Host, value: Any) -> None:
    """A database's ``Avg``, or a division, gives floats; ``Sum`` of a decimal column, decimals."""
    totals = dict.fromkeys(MAX_TOTALS, value)
    row = usage.record(contract, days_ago(0), **totals)
    assert {type(getattr(row, name)) for name in MAX_TOTALS} == {int}
    site.days = [DayUsage(work_date=days_ago(0), **totals)]
    assert usage.collect(contract) == 0


@pytest.mark.parametrize(
    "value",
    [12.5, Decimal("12.5"), "12", True, float("nan"), Decimal("sNaN"), 1e400, Decimal("1E+1000000")],
)
@pytest.mark.parametrize("name", MAX_TOTALS)
def test_totals_are_whole_numbers(contract: Contract, site: Host, value: Any, name: str) -> None:
    """A fraction would be cut by the database, and so be news each time it is collected."""
    totals = {**dict.fromkeys(MAX_TOTALS, 1), name: value}
    with pytest.raises(ValueError, match="whole number"):
        usage.record(contract, days_ago(0), **totals)
    site.days = [DayUsage(work_date=days_ago(0), **totals)]
    assert usage.collect(contract) == 0


@pytest.mark.django_db
def test_all_days_are_collected_once_a_day_and_the_last_ones_each_time(
    opentrain: OpenTrain, maria: Hire, asked: Asked
) -> None:
    start = usage.today() - timedelta(days=40)
    for _ in range(2):
        opentrain.travel(days=1)
        asked.clear()
        for _quarter in range(3):
            runs.run_due()
        today = usage.today()
        assert asked == [
            (start, today),
            (today - collecting.RECENT, today),
            (today - collecting.RECENT, today),
        ]


@pytest.mark.django_db
def test_before_a_link_or_a_customer_goes_all_days_are_collected(
    opentrain: OpenTrain, maria: Hire, asked: Asked
) -> None:
    start = usage.today() - timedelta(days=40)
    runs.run_due()
    asked.clear()
    runs.report_last(Contract.objects.all())
    connect.disconnect(Install.objects.get())
    reconcile.run_due()
    assert asked == [(start, usage.today())] * 2


@pytest.mark.django_db
def test_a_slow_collection_keeps_its_lease(
    opentrain: OpenTrain, maria: Hire, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        opentrain.hire(f"Trainer {number}")
    opentrain.run()
    usage.record(maria.contract, days_ago(0), total_seconds=60)

    def slowly(*_arguments: Any) -> list[DayUsage]:
        opentrain.travel(minutes=3)
        assert endpoints.check_all() == 0
        return []

    monkeypatch.setattr(RecordingAdapter, "collect_usage", slowly)
    assert runs.run_due() == 1


# Reporting ------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.django_db
def test_totals_reach_opentrain_in_batches_of_a_hundred(opentrain: OpenTrain, maria: Hire) -> None:
    workers = [""] * 30
    for number, _worker in enumerate(workers):
        usage.record(maria.contract, days_ago(number), total_seconds=number)
    opentrain.sandbox.add_participant(maria.id, "Ken T.")
    people = maria.contract.install.client.list_participants(maria.id)
    ken = next(each.opentrain_user_id for each in people if each.opentrain_user_id != maria.opentrain_user_id)
    for number in range(90):
        usage.record(maria.contract, days_ago(number), total_seconds=1, worker_id=ken)
    before = len(opentrain.sandbox.calls)
    report = usage.report(maria.contract)
    assert (report.accepted, report.refused, report.held) == (120, 0, 0)
    assert len(opentrain.sandbox.calls) - before == 2
    assert not DailyUsage.objects.exclude(status=REPORTED).exists()
    assert usage.report(maria.contract).accepted == 0


@pytest.mark.django_db
def test_days_in_the_future_wait(opentrain: OpenTrain, maria: Hire) -> None:
    tomorrow = usage.today() + timedelta(days=1)
    usage.record(maria.contract, tomorrow, total_seconds=60)
    assert usage.report(maria.contract).held == 1
    assert sent(opentrain) == {}
    opentrain.travel(days=1)
    opentrain.run()
    assert sent(opentrain) == {tomorrow.isoformat(): 60}


@pytest.mark.django_db
def test_a_day_that_has_not_begun_at_opentrain_waits(
    opentrain: OpenTrain, maria: Hire, settings: Any
) -> None:
    """In the east it is tomorrow already: refused as a day in the future, its hours would be lost."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": "Pacific/Kiritimati"}
    opentrain.travel(hours=(36 - opentrain.now.hour) % 24)  # noon in UTC
    usage.record(maria.contract, usage.today(), total_seconds=60)
    opentrain.run()
    assert (sent(opentrain), DailyUsage.objects.get().status) == ({}, DUE)
    tomorrow = usage.today()
    opentrain.travel(hours=12)
    opentrain.run()
    assert sent(opentrain) == {tomorrow.isoformat(): 60}


@pytest.mark.long
@pytest.mark.django_db
def test_a_customer_who_leaves_waits_for_the_day_to_begin_at_opentrain(
    opentrain: OpenTrain, maria: Hire, settings: Any
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": "Pacific/Kiritimati"}
    opentrain.travel(hours=(36 - opentrain.now.hour) % 24)
    usage.record(maria.contract, usage.today(), total_seconds=60)
    tomorrow = usage.today()
    connect.disconnect(Install.objects.get())
    for _hour in range(13):
        opentrain.run()
        opentrain.travel(hours=1)
    assert sent(opentrain) == {tomorrow.isoformat(): 60}
    assert Install.objects.get().token is None


@pytest.mark.django_db
def test_hours_counted_before_the_trainer_was_known_are_not_lost(opentrain: OpenTrain, maria: Hire) -> None:
    """With two participants in a contract only an event says which of them was hired."""
    contract, trainer = maria.contract, maria.contract.trainer
    assert trainer is not None
    Contract.objects.update(trainer=None)
    contract.trainer = None
    usage.add(contract, days_ago(1), total_seconds=100, worker_id=maria.opentrain_user_id)
    usage.record(contract, days_ago(2), total_seconds=100, worker_id=maria.opentrain_user_id)
    usage.record(contract, days_ago(2), total_seconds=10)
    opentrain.run()
    contracts.set_trainer(contract, trainer)
    usage.add(contract, days_ago(1), total_seconds=50, worker_id=maria.opentrain_user_id)
    opentrain.run()
    assert sent(opentrain)[days_ago(1).isoformat()] == 150
    assert DailyUsage.objects.filter(work_date=days_ago(1)).count() == 1


def test_who_turns_out_to_be_hired_takes_over_their_own_hours_alone(contract: Contract) -> None:
    maria = make_participant(contract.install, opentrain_user_id="usr_maria")
    other = make_contract(contract.install)
    mine = make_usage(contract, worker_id="usr_maria")
    taken = make_usage(contract, worker_id="")
    again = make_usage(contract, taken.work_date, worker_id="usr_maria")
    kens = make_usage(contract, worker_id="usr_ken")
    elsewhere = make_usage(other, worker_id="usr_maria")
    contracts.set_trainer(contract, maria)
    workers = dict(DailyUsage.objects.values_list("pk", "worker_id"))
    assert [workers[row.pk] for row in (mine, taken, again)] == ["", "", "usr_maria"]
    assert [workers[row.pk] for row in (kens, elsewhere)] == ["usr_ken", "usr_maria"]
    other.refresh_from_db()
    assert (contract.trainer, other.trainer) == (maria, None)


@pytest.mark.long
@pytest.mark.django_db
def test_one_refused_entry_does_not_hold_up_the_others(opentrain: OpenTrain, maria: Hire) -> None:
    for number in range(99):
        usage.record(maria.contract, days_ago(number), total_seconds=60)
    usage.record(maria.contract, days_ago(5), total_seconds=60, worker_id="usr_stranger")
    report = usage.report(maria.contract)
    assert (report.accepted, report.refused) == (99, 1)
    bad = DailyUsage.objects.get(worker_id="usr_stranger")
    assert bad.status == REFUSED
    assert "participant" in bad.error
    assert usage.report(maria.contract).refused == 0
    usage.record(maria.contract, days_ago(5), total_seconds=61, worker_id="usr_stranger")
    assert usage.report(maria.contract).refused == 1


@pytest.mark.django_db
def test_a_proxys_refusal_refuses_no_entry(opentrain: OpenTrain, maria: Hire) -> None:
    usage.record(maria.contract, days_ago(0), total_seconds=60)
    opentrain.sandbox.fault("html", status=400, match="POST .*usage")
    with pytest.raises(BadRequest):
        usage.report(maria.contract)
    assert DailyUsage.objects.get().status == DUE


@pytest.mark.django_db
def test_what_changes_during_a_report_stays_due(
    opentrain: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage.record(maria.contract, days_ago(1), total_seconds=60)
    report_usage = PlatformClient.report_usage

    def during_call(client: PlatformClient, contract_id: str, entries: Any) -> Any:
        answer = report_usage(client, contract_id, entries)
        usage.add(maria.contract, days_ago(1), total_seconds=5)
        return answer

    monkeypatch.setattr(PlatformClient, "report_usage", during_call)
    usage.report(maria.contract)
    monkeypatch.undo()
    assert DailyUsage.objects.get().status == DUE
    usage.report(maria.contract)
    assert DailyUsage.objects.get().status == REPORTED
    assert sent(opentrain) == {days_ago(1).isoformat(): 65}


@pytest.mark.django_db
def test_a_lost_answer_is_reported_again_and_counts_once(opentrain: OpenTrain, maria: Hire) -> None:
    usage.record(maria.contract, days_ago(1), total_seconds=60)
    opentrain.lose_next_response(match="POST .*usage")
    opentrain.run()
    opentrain.travel(minutes=30)
    opentrain.run()
    assert sent(opentrain) == {days_ago(1).isoformat(): 60}
    assert DailyUsage.objects.get().status == REPORTED


@pytest.mark.django_db
def test_an_ended_contract_still_gets_its_last_totals_out(
    opentrain: OpenTrain, maria: Hire, site: Host
) -> None:
    site.days = [DayUsage(work_date=days_ago(0), total_seconds=60)]
    opentrain.end(maria)
    opentrain.run()
    assert sent(opentrain) == {days_ago(0).isoformat(): 60}
    opentrain.travel(days=2)
    site.days.append(DayUsage(work_date=days_ago(2), total_seconds=90))
    opentrain.run()
    assert sent(opentrain)[days_ago(2).isoformat()] == 90


@pytest.mark.django_db
def test_a_contract_that_opentrain_refuses_is_tried_later_and_others_now(
    opentrain: OpenTrain, maria: Hire
) -> None:
    ken = opentrain.hire("Ken T.")
    opentrain.run()
    for hire in (maria, ken):
        usage.record(hire.contract, days_ago(0), total_seconds=60)
    opentrain.fail_next(status=404, match=f"POST /contracts/{maria.id}/usage")
    runs.run_due()
    assert maria.contract.report_error
    assert maria.contract.next_report_at is not None
    assert ken.contract.usage.get().status == REPORTED
    assert runs.run_due() == 0
    opentrain.travel(minutes=5)
    assert runs.run_due() == 1
    assert (maria.contract.report_error, maria.contract.report_attempts) == ("", 0)


@pytest.mark.django_db
def test_nothing_is_lost_in_an_outage(opentrain: OpenTrain, maria: Hire) -> None:
    usage.record(maria.contract, days_ago(0), total_seconds=60)
    opentrain.fail_next(status=503)
    with pytest.raises(ServerError):
        usage.report(maria.contract)
    opentrain.travel(minutes=15)
    opentrain.fail_next(status=404)
    with pytest.raises(NotFound):
        usage.report(maria.contract)
    assert DailyUsage.objects.get().status == DUE


@pytest.mark.django_db
def test_the_answer_brings_the_budget(opentrain: OpenTrain, maria: Hire, site: Host) -> None:
    opentrain.fund(maria, hours=1)
    opentrain.consume(maria, hours=0.9)
    assert maria.contract.budget_state == "LOW"
    opentrain.run()
    assert site.budgets == [("OK", "LOW")]


@pytest.mark.django_db
def test_a_failing_host_costs_only_its_contract(opentrain: OpenTrain, maria: Hire, site: Host) -> None:
    usage.record(maria.contract, days_ago(0), total_seconds=60)
    site.failing["collect_usage"] = RuntimeError("no such table")
    assert runs.run_due() == 1
    assert DailyUsage.objects.get().status == REPORTED


@pytest.mark.django_db
def test_what_heals_is_no_problem_any_more(opentrain: OpenTrain, maria: Hire, site: Host) -> None:
    usage.record(maria.contract, days_ago(0), total_seconds=60)
    site.failing["collect_usage"] = RuntimeError("no such table")
    assert runs.run_due() == 1, "what was recorded before is reported"
    assert maria.contract.collect_error == "RuntimeError: no such table"
    site.failing.clear()
    opentrain.travel(minutes=15)
    runs.run_due()
    assert (maria.contract.collect_error, maria.contract.collect_attempts) == ("", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [400, 404])
def test_what_does_not_heal_stays_a_problem(opentrain: OpenTrain, maria: Hire, status: int) -> None:
    usage.record(maria.contract, days_ago(0), total_seconds=60)
    opentrain.fail_next(status=status, match="POST .*usage")
    runs.run_due()
    opentrain.travel(seconds=1)
    runs.run_due()
    assert str(status) in maria.contract.report_error


@pytest.mark.django_db
def test_without_the_scope_totals_wait(opentrain: OpenTrain) -> None:
    install = opentrain.connect("acme", scopes=["project-links:write", "contracts:read", "participants:read"])
    contract = make_contract(install)
    usage.record(contract, days_ago(0), total_seconds=60)
    assert runs.run_due() == 0
    assert DailyUsage.objects.get().status == DUE


@pytest.mark.django_db
def test_the_day_is_that_of_the_usage_time_zone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=tz.utc)
    monkeypatch.setattr(timezone, "now", lambda: noon)
    for zone, day in (("UTC", 23), ("Pacific/Kiritimati", 24), ("Pacific/Pago_Pago", 23)):
        settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": zone}
        assert usage.today() == date(2026, 11, day)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 3, 8, 4, 59, tzinfo=tz.utc), 7),
        (datetime(2026, 3, 9, 3, 59, tzinfo=tz.utc), 8),
        (datetime(2026, 3, 9, 4, 1, tzinfo=tz.utc), 9),
        (datetime(2026, 11, 1, 4, 1, tzinfo=tz.utc), 1),
        (datetime(2026, 11, 2, 4, 59, tzinfo=tz.utc), 1),
        (datetime(2026, 11, 2, 5, 1, tzinfo=tz.utc), 2),
    ],
    ids=lambda value: f"{value:%m-%d %H:%M}" if isinstance(value, datetime) else "",
)
def test_a_day_of_23_or_25_hours_is_one_day(
    settings: Any, monkeypatch: pytest.MonkeyPatch, moment: datetime, day: int
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": "America/New_York"}
    monkeypatch.setattr(timezone, "now", lambda: moment)
    assert usage.today() == date(2026, moment.month, day)


@pytest.mark.django_db
def test_a_paused_install_reports_later(opentrain: OpenTrain, maria: Hire) -> None:
    usage.record(maria.contract, days_ago(0), total_seconds=60)
    Install.objects.update(paused_until=timezone.now() + timedelta(minutes=5))
    assert runs.run_due() == 0
    opentrain.travel(minutes=6)
    assert runs.run_due() == 1
