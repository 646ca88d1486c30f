"""Corrections by an operator: entries with a reason and a name, which count on the day that they correct."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_opentrain.errors import OperationRefused
from django_opentrain.models import DailyUsage, WorkEntry
from django_opentrain.services import usage, work
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.services.test_work import act, linked, maria, totals

__all__ = ["linked", "maria"]

HOW: dict[str, Any] = {"reason": "The tab was open over lunch.", "by": "operator ada"}


def correct(hire: Hire, opentrain: OpenTrain, days_ago: int = 0, **amounts: Any) -> WorkEntry:
    day = opentrain.today - timedelta(days=days_ago)
    return work.correct(hire.contract, day, **{**HOW, **amounts})


def test_the_corrected_day_is_reported_anew(linked: OpenTrain, maria: Hire) -> None:
    linked.travel(minutes=20)
    act(maria, seconds=1200, tasks=2, labels=9)
    usage.collect(maria.contract)
    usage.report(maria.contract)
    assert DailyUsage.objects.get().status == DailyUsage.Status.REPORTED
    usage.correct(maria.contract, linked.today, seconds=-600, tasks=1, labels=-9, **HOW)
    row = DailyUsage.objects.get()
    assert (row.total_seconds, row.tasks_completed, row.labels_completed) == (600, 3, 0)
    assert row.status == DailyUsage.Status.DUE
    usage.report(maria.contract)
    row.refresh_from_db()
    assert (row.status, row.reported_revision) == (DailyUsage.Status.REPORTED, row.revision)
    entry = work.entries(maria.contract, linked.today, linked.today)[-1]
    assert (entry.kind, entry.counted) == ("CORRECTED", timedelta(seconds=-600))
    assert (entry.reason, entry.corrected_by) == (HOW["reason"], HOW["by"])


def test_it_takes_no_time_from_the_actions_around_it(linked: OpenTrain, maria: Hire) -> None:
    linked.travel(minutes=5)
    act(maria, seconds=60)
    correct(maria, linked, seconds=900)
    linked.travel(seconds=50)
    act(maria, seconds=80)
    assert totals(maria) == [(60 + 900 + 50, 0, 0)]
    WorkEntry.objects.filter(kind="ACTIVITY").delete()
    first = WorkEntry.objects.order_by("at").first()
    assert first is not None
    # The moment of an entry that claims nothing: the correction alone is there.
    WorkEntry.objects.filter(pk=first.pk).update(duration=timedelta())
    assert totals(maria) == [(900 + 80, 0, 0)]


def test_below_zero_it_is_taken_off_later_days(linked: OpenTrain, maria: Hire) -> None:
    linked.travel(minutes=20)
    act(maria, seconds=600, tasks=1)
    linked.travel(days=1)
    act(maria, seconds=600, tasks=1)
    correct(maria, linked, days_ago=1, seconds=-900, tasks=-1)
    assert totals(maria) == [(300, 1, 0)]


def test_a_day_without_work_can_be_given_some(linked: OpenTrain, maria: Hire) -> None:
    linked.travel(days=2)
    correct(maria, linked, days_ago=1, seconds=3600)
    assert totals(maria) == [(3600, 0, 0)]
    assert [row.work_date for row in DailyUsage.objects.filter(total_seconds=3600)] == [
        linked.today - timedelta(days=1)
    ]


@pytest.mark.long
def test_on_a_day_of_two_contracts_each_is_corrected(linked: OpenTrain, maria: Hire) -> None:
    linked.travel(minutes=10)
    act(maria, seconds=300)
    linked.end(maria)
    linked.run()
    linked.travel(minutes=10)
    again = linked.hire(again=maria)
    linked.run()
    linked.travel(minutes=2)
    act(again, seconds=60)
    correct(maria, linked, seconds=-100)
    correct(again, linked, seconds=1000)
    assert (totals(maria), totals(again)) == ([(200, 0, 0)], [(1060, 0, 0)])


@pytest.mark.long
def test_long_after_the_end_it_is_still_applied(linked: OpenTrain, maria: Hire) -> None:
    linked.travel(minutes=10)
    act(maria, seconds=300)
    usage.collect(maria.contract)
    linked.end(maria)
    linked.run()
    linked.travel(days=60)
    usage.correct(maria.contract, linked.today - timedelta(days=60), seconds=-100, **HOW)
    assert DailyUsage.objects.get().total_seconds == 200


def test_sent_twice_it_is_stored_once(linked: OpenTrain, maria: Hire) -> None:
    assert correct(maria, linked, tasks=1, key="a").pk == correct(maria, linked, tasks=1, key="a").pk
    assert totals(maria) == [(0, 1, 0)]


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        ({}, "Say what is to be corrected"),
        ({"tasks": 1, "reason": "  "}, "a reason and a name"),
        ({"tasks": 1, "by": ""}, "a reason and a name"),
        ({"seconds": 86_401}, "more than a day"),
        ({"labels": -1_000_001}, "more than a day"),
        ({"tasks": 1, "worker_id": "usr_unknown"}, "pays for no time of this trainer"),
        ({"tasks": 1, "days_ago": -1}, "in the future"),
        ({"tasks": 1, "days_ago": 9999}, "are deleted"),
    ],
)
def test_what_cannot_be_is_refused(
    linked: OpenTrain, maria: Hire, amounts: dict[str, Any], words: str
) -> None:
    with pytest.raises(OperationRefused, match=words):
        correct(maria, linked, **amounts)
    assert not WorkEntry.objects.exists()


def test_a_site_without_a_ledger_corrects_its_own(linked: OpenTrain, maria: Hire, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.services.conftest.RecordingAdapter"}
    with pytest.raises(OperationRefused, match="keeps no work ledger"):
        correct(maria, linked, tasks=1)
