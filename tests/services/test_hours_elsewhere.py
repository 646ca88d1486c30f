"""Hours that are tracked elsewhere: kept here, not reported, so that no work is paid twice."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from django_opentrain.adapters import DayUsage
from django_opentrain.errors import BusyError, OperationRefused
from django_opentrain.models import Contract, DailyUsage, ProjectLink
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import BadRequest
from django_opentrain.sandbox.models import Usage
from django_opentrain.services import linking, usage
from django_opentrain.services.linking import generations
from django_opentrain.services.usage import runs
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_install, make_link, make_usage
from tests.services.conftest import Host

DUE, REPORTED, REFUSED, WITHHELD = DailyUsage.Status.values


def hire_and_wait(linked: OpenTrain) -> Hire:
    hire = linked.hire()
    linked.travel(days=10)
    linked.run()
    return hire


@pytest.fixture
def maria(linked: OpenTrain) -> Hire:
    return hire_and_wait(linked)


def switch(hire: Hire, *, on: bool, **options: Any) -> ProjectLink:
    return linking.configure(hire.grant.link, hours_tracked_elsewhere=on, **options)


def sent(opentrain: OpenTrain) -> dict[str, tuple[int, int]]:
    """Seconds and tasks that OpenTrain has stored, by day: 0 is what it never was sent."""
    rows = opentrain.sandbox.store.all(Usage)
    return {row.work_date: (row.total_seconds, row.tasks_completed) for row in rows}


def day(number: int) -> date:
    return usage.today() - timedelta(days=number)


def row(hire: Hire, work_date: date) -> DailyUsage:
    return DailyUsage.objects.get(contract=hire.contract, work_date=work_date)


def test_hours_are_reported_unless_a_customer_says_otherwise(linked: OpenTrain, maria: Hire) -> None:
    assert maria.grant.link.hours_tracked_elsewhere is False
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3)
    assert usage.report(maria.contract).accepted == 1
    assert sent(linked) == {str(day(1)): (600, 3)}


def test_only_tasks_and_labels_are_reported(linked: OpenTrain, maria: Hire) -> None:
    switch(maria, on=True)
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3, labels_completed=9)
    assert usage.report(maria.contract).accepted == 1
    assert sent(linked) == {str(day(1)): (0, 3)}
    stored = row(maria, day(1))
    assert (stored.total_seconds, stored.status, stored.hours_withheld) == (600, REPORTED, True)
    assert stored.reported_revision == stored.revision


def test_what_was_reported_before_stays_reported(linked: OpenTrain, maria: Hire) -> None:
    """A field that is left out keeps the value that OpenTrain has."""
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3)
    usage.report(maria.contract)
    switch(maria, on=True)
    assert row(maria, day(1)).status == REPORTED
    usage.record(maria.contract, day(1), total_seconds=900, tasks_completed=4)
    usage.report(maria.contract)
    assert sent(linked) == {str(day(1)): (600, 4)}


def test_a_day_that_has_nothing_but_hours_is_not_sent(linked: OpenTrain, maria: Hire) -> None:
    switch(maria, on=True)
    usage.record(maria.contract, day(1), total_seconds=600)
    calls = len(linked.sandbox.calls)
    assert usage.report(maria.contract).accepted == 0
    assert len(linked.sandbox.calls) == calls
    stored = row(maria, day(1))
    assert (stored.status, stored.hours_withheld, stored.total_seconds) == (WITHHELD, True, 600)
    assert runs.run_due() == 0, "nothing is left to do"
    usage.record(maria.contract, day(1), tasks_completed=2)
    assert usage.report(maria.contract).accepted == 1
    assert (row(maria, day(1)).status, sent(linked)) == (REPORTED, {str(day(1)): (0, 2)})


def test_a_refused_entry_is_found_among_those_without_hours(
    linked: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch(maria, on=True)
    for number in range(1, 6):
        usage.record(maria.contract, day(number), total_seconds=600, tasks_completed=number)
    usage.record(maria.contract, day(6), total_seconds=600)
    report_usage = PlatformClient.report_usage

    def picky(client: PlatformClient, contract_id: str, entries: Any) -> Any:
        assert all(entry.total_seconds is None for entry in entries)
        if any(entry.tasks_completed == 3 for entry in entries):
            raise BadRequest("no", status=400, code="BAD_REQUEST")
        return report_usage(client, contract_id, entries)

    monkeypatch.setattr(PlatformClient, "report_usage", picky)
    result = usage.report(maria.contract)
    assert (result.accepted, result.refused) == (4, 1)
    assert [row(maria, day(number)).status for number in range(1, 7)] == [
        *(REPORTED, REPORTED, REFUSED, REPORTED, REPORTED, WITHHELD)
    ]


def test_a_day_that_was_refused_is_tried_without_its_hours(linked: OpenTrain, maria: Hire) -> None:
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3)
    DailyUsage.objects.update(status=REFUSED, error="too many seconds", error_code="BAD_REQUEST")
    switch(maria, on=True)
    assert usage.report(maria.contract).accepted == 1
    assert sent(linked) == {str(day(1)): (0, 3)}


# Switching it off -----------------------------------------------------------------------------


def test_days_until_the_switch_is_off_stay_without_hours(linked: OpenTrain, maria: Hire, site: Host) -> None:
    """They were paid by what tracked them; also those that are collected, or corrected, only later."""
    switch(maria, on=True)
    usage.record(maria.contract, day(3), total_seconds=600, tasks_completed=3)
    usage.report(maria.contract)
    usage.record(maria.contract, day(2), total_seconds=60, tasks_completed=1)
    usage.record(maria.contract, day(5), total_seconds=60)
    switch(maria, on=False)
    site.days = [
        DayUsage(work_date=day(3), total_seconds=700, tasks_completed=5),
        DayUsage(work_date=day(1), total_seconds=80, tasks_completed=8),
        DayUsage(work_date=day(0), total_seconds=90, tasks_completed=9),
    ]
    linked.travel(hours=1)
    linked.run()
    switched_off = usage.today()
    assert sent(linked) == {
        str(day(3)): (0, 5),
        str(day(2)): (0, 1),
        str(day(1)): (0, 8),
        str(day(0)): (0, 9),
    }
    linked.travel(days=1)
    site.days = [DayUsage(work_date=usage.today(), total_seconds=30, tasks_completed=1)]
    usage.record(maria.contract, switched_off, tasks_completed=10)
    linked.run()
    assert sent(linked)[str(usage.today())] == (30, 1)
    assert sent(linked)[str(switched_off)] == (0, 10)


@pytest.mark.parametrize("number", [0, 1])
def test_a_new_day_that_is_added_to_is_withheld_until_the_switch_is_off(
    linked: OpenTrain, maria: Hire, number: int
) -> None:
    contract = maria.contract
    switch(maria, on=True)
    switch(maria, on=False)
    linked.travel(days=1)
    row = usage.add(contract, day(number), total_seconds=60, tasks_completed=1)
    assert row.hours_withheld is (number == 1)
    assert usage.add(contract, day(number), total_seconds=60).hours_withheld is (number == 1)


def test_what_was_reported_with_hours_is_corrected_with_hours(linked: OpenTrain, maria: Hire) -> None:
    """Days of before it was switched on."""
    usage.record(maria.contract, day(5), total_seconds=600, tasks_completed=3)
    usage.report(maria.contract)
    switch(maria, on=True)
    switch(maria, on=False)
    usage.record(maria.contract, day(5), total_seconds=500)
    usage.report(maria.contract)
    assert sent(linked) == {str(day(5)): (500, 3)}


def test_the_hours_that_were_withheld_are_reported_if_the_customer_says_so(
    linked: OpenTrain, maria: Hire
) -> None:
    switch(maria, on=True)
    usage.record(maria.contract, day(2), total_seconds=600, tasks_completed=3)
    usage.record(maria.contract, day(1), total_seconds=60)
    usage.report(maria.contract)
    switch(maria, on=False, report_withheld_hours=True)
    assert usage.report(maria.contract).accepted == 2
    assert sent(linked) == {str(day(2)): (600, 3), str(day(1)): (60, 0)}
    usage.record(maria.contract, usage.today(), total_seconds=7)
    usage.report(maria.contract)
    assert sent(linked)[str(usage.today())] == (7, 0)
    assert not DailyUsage.objects.filter(hours_withheld=True).exists()


def test_the_hours_can_be_reported_after_all(linked: OpenTrain, maria: Hire) -> None:
    switch(maria, on=True)
    usage.record(maria.contract, day(2), total_seconds=600, tasks_completed=3)
    usage.report(maria.contract)
    switch(maria, on=False)
    switch(maria, on=False, report_withheld_hours=True)
    usage.report(maria.contract)
    assert sent(linked) == {str(day(2)): (600, 3)}


def test_a_report_on_its_way_hides_no_hours_that_are_wanted_since(
    linked: OpenTrain, maria: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch(maria, on=True)
    usage.record(maria.contract, day(2), total_seconds=600, tasks_completed=3)
    report_usage = PlatformClient.report_usage

    def slow(client: PlatformClient, contract_id: str, entries: Any) -> Any:
        monkeypatch.setattr(PlatformClient, "report_usage", report_usage)
        switch(maria, on=False, report_withheld_hours=True)
        return report_usage(client, contract_id, entries)

    monkeypatch.setattr(PlatformClient, "report_usage", slow)
    usage.report(maria.contract)
    assert row(maria, day(2)).status == DUE
    usage.report(maria.contract)
    assert sent(linked) == {str(day(2)): (600, 3)}


# Which contracts ------------------------------------------------------------------------------


def test_one_link_of_several_is_enough(linked: OpenTrain, maria: Hire) -> None:
    """OpenTrain has one total for all projects of a contract, and so has what tracks hours elsewhere."""
    other = linked.link("p2")
    linked.run()
    switch_on = linking.configure(other, hours_tracked_elsewhere=True)
    assert maria.contract.links.count() == 2
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3)
    usage.report(maria.contract)
    first = maria.grants.get(link__external_project_id="p1").link
    linking.configure(first, hours_tracked_elsewhere=True)
    linking.configure(switch_on, hours_tracked_elsewhere=False, report_withheld_hours=True)
    usage.record(maria.contract, day(2), total_seconds=60, tasks_completed=1)
    usage.report(maria.contract)
    assert sent(linked) == {str(day(1)): (0, 3), str(day(2)): (0, 1)}


def test_other_contracts_of_the_customer_report_their_hours(linked: OpenTrain, maria: Hire) -> None:
    linked.link("p2", job="Another job")
    joao = linked.hire("João P.")
    linked.run()
    switch(maria, on=True)
    usage.record(joao.contract, usage.today(), total_seconds=600)
    usage.report(joao.contract)
    assert sent(linked) == {str(usage.today()): (600, 0)}


@pytest.mark.long
def test_a_link_that_is_removed_switches_it_off(linked: OpenTrain, maria: Hire) -> None:
    other = linked.link("p2")
    linked.run()
    linking.configure(other, hours_tracked_elsewhere=True)
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3)
    linking.unlink(other)
    linked.run()
    usage.record(maria.contract, day(2), total_seconds=60, tasks_completed=1)
    usage.report(maria.contract)
    linked.travel(days=1)
    usage.record(maria.contract, usage.today(), total_seconds=5)
    usage.report(maria.contract)
    assert sent(linked) == {
        str(day(3)): (0, 1),
        str(day(2)): (0, 3),
        str(usage.today()): (5, 0),
    }


def test_the_last_report_before_a_link_is_removed_has_no_hours(linked: OpenTrain, maria: Hire) -> None:
    switch(maria, on=True)
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3)
    linking.unlink(maria.grant.link)
    assert sent(linked) == {str(day(1)): (0, 3)}


# A reconnect ----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_reconnect_keeps_it(linked: OpenTrain, maria: Hire) -> None:
    switch(maria, on=True)
    linked.connect("acme")
    linked.run()
    link = ProjectLink.objects.live().get()
    assert (link.install, link.hours_tracked_elsewhere) == (maria.contract.install, True)
    usage.record(maria.contract, day(1), total_seconds=600, tasks_completed=3)
    usage.report(maria.contract)
    assert sent(linked) == {str(day(1)): (0, 3)}


@pytest.mark.django_db
def test_a_link_that_the_new_connection_has_already_takes_it_over() -> None:
    old, new = make_install(), make_install()
    mine = make_link(old, external_project_id="p1", hours_tracked_elsewhere=True)
    successor = make_link(new, external_project_id="p1")
    generations.carry_over(mine, new)
    successor.refresh_from_db()
    assert successor.hours_tracked_elsewhere


@pytest.mark.django_db
def test_a_link_that_was_loaded_before_the_reconnect_leads_to_the_new_one() -> None:
    old, new = make_install(), make_install()
    stale = make_link(old, external_project_id="p1")
    successor = generations.carry_over(ProjectLink.objects.get(pk=stale.pk), new)
    assert linking.configure(stale, hours_tracked_elsewhere=True) == successor
    successor.refresh_from_db()
    assert successor.hours_tracked_elsewhere


@pytest.mark.django_db
def test_a_removed_link_has_no_settings() -> None:
    link = make_link(make_install(), status=ProjectLink.Status.REMOVED)
    with pytest.raises(OperationRefused, match="no longer linked"):
        linking.configure(link, hours_tracked_elsewhere=True)
    link.delete()
    link.pk = 0
    with pytest.raises(BusyError):
        linking.configure(link, hours_tracked_elsewhere=True)


@pytest.mark.django_db
def test_saying_nothing_changes_nothing() -> None:
    link = make_link(make_install(), hours_tracked_elsewhere=True)
    contract = make_contract(link.install, [link])
    make_usage(contract, hours_withheld=True, status=WITHHELD)
    assert linking.configure(link).hours_tracked_elsewhere
    assert linking.configure(link, hours_tracked_elsewhere=True).hours_tracked_elsewhere
    assert linking.configure(link, report_withheld_hours=True).hours_tracked_elsewhere
    assert DailyUsage.objects.get().status == WITHHELD
    assert Contract.objects.get().hours_withheld_until is None
