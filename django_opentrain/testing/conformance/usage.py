"""The work that the host counts: how much, whose, and on which day."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from django_opentrain.adapters import OpenTrainAdapter
from django_opentrain.models import AccessGrant, DailyUsage
from django_opentrain.services import linking, usage
from django_opentrain.testing.conformance.hooks import AdapterHooks
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain

State = AccessGrant.State

#: Zones whose midnights are far from each other, and one that is not on the hour.
ZONES = ("UTC", "America/Los_Angeles", "Pacific/Kiritimati", "Asia/Kathmandu")


@pytest.mark.django_db
class UsageConformance(AdapterHooks):
    """``collect_usage``."""

    def test_a_days_work_is_summed(self, linked: OpenTrain) -> None:
        maria = self._hired(linked)
        for _ in range(3):
            self._work(linked, maria, seconds=100, tasks=2, labels=5)
        self._collect(maria)
        assert self._totals(maria) == [(linked.today, self._counted(300, 6, 15))]

    def test_collecting_again_counts_nothing_twice(self, linked: OpenTrain) -> None:
        maria = self._hired(linked)
        self._work(linked, maria, seconds=100, tasks=2, labels=5)
        self._collect(maria)
        assert self._collect(maria) == 0, "totals that didn't change are new"
        self._work(linked, maria, seconds=10, tasks=1, labels=1)
        self._collect(maria)
        assert self._totals(maria) == [(linked.today, self._counted(110, 3, 6))]

    @pytest.mark.parametrize("zone", ZONES)
    def test_days_begin_at_midnight_of_the_usage_time_zone(
        self, linked: OpenTrain, settings: Any, zone: str
    ) -> None:
        settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": zone}
        maria = self._hired(linked)
        # Not the coming midnight: in its last minute the test would have to travel back.
        yesterday = linked.today + timedelta(days=1)
        today = yesterday + timedelta(days=1)
        midnight = datetime.combine(today, time.min, ZoneInfo(zone))
        for moment in (midnight - timedelta(minutes=1), midnight + timedelta(minutes=1)):
            linked.travel(seconds=(moment - linked.now).total_seconds() - 31)
            self._work(linked, maria, seconds=30, tasks=1, labels=4)
        self._collect(maria)
        assert self._totals(maria) == [
            (yesterday, self._counted(30, 1, 4)),
            (today, self._counted(30, 1, 4)),
        ]

    def test_only_the_days_asked_for_are_answered(self, linked: OpenTrain, adapter: OpenTrainAdapter) -> None:
        maria = self._hired(linked)
        days = []
        for _ in range(3):
            linked.travel(days=1)
            self._work(linked, maria, seconds=60, tasks=1, labels=1)
            days.append(linked.today)
        if not adapter.observes_work:
            answered = list(adapter.collect_usage(maria.contract, days[1], days[1]))
            assert {day.work_date for day in answered} == {days[1]}

    def test_a_contract_under_which_work_was_done_has_changed_since(
        self, linked: OpenTrain, adapter: OpenTrainAdapter
    ) -> None:
        maria = self._hired(linked)
        before = linked.now
        self._work(linked, maria, seconds=100, tasks=2, labels=5)
        changed = None if adapter.observes_work else adapter.usage_changed_since(before)
        if changed is not None:
            assert maria.contract in changed

    def test_each_trainer_has_their_own_work(self, linked: OpenTrain) -> None:
        maria, joao = self._hired(linked), self._hired(linked, "João P.")
        self._work(linked, maria, seconds=100, tasks=2, labels=5)
        self._work(linked, joao, seconds=7, tasks=1, labels=1)
        self._collect(maria)
        self._collect(joao)
        assert self._totals(maria) == [(linked.today, self._counted(100, 2, 5))]
        assert self._totals(joao) == [(linked.today, self._counted(7, 1, 1))]

    def test_each_contract_has_its_own_projects_work(self, linked: OpenTrain) -> None:
        here = self._hired(linked)
        linked.link(self.other_project_id, job="Another job")
        there = linked.hire(again=here)
        linked.run()
        self._work(linked, here, seconds=100, tasks=2, labels=5)
        self._work(linked, there, seconds=7, tasks=1, labels=1)
        self._collect(here)
        self._collect(there)
        assert self._totals(here) == [(linked.today, self._counted(100, 2, 5))]
        assert self._totals(there) == [(linked.today, self._counted(7, 1, 1))]

    def test_a_project_that_is_linked_again_is_counted_once(self, linked: OpenTrain) -> None:
        """The contract then has two grants to it."""
        maria = self._hired(linked)
        self._work(linked, maria, seconds=100, tasks=2, labels=5)
        linking.unlink(maria.grant.link)
        linked.run()
        linked.link(self.project_id)
        linked.run()
        assert [grant.state for grant in maria.grants] == [State.REVOKED, State.GRANTED]
        self._collect(maria)
        assert self._totals(maria) == [(linked.today, self._counted(100, 2, 5))]

    def test_work_outlives_the_access(self, linked: OpenTrain) -> None:
        """What was done before the end is still owed after it."""
        maria = self._hired(linked)
        self._work(linked, maria, seconds=100, tasks=2, labels=5)
        linked.end(maria)
        linked.run()
        self._collect(maria)
        assert self._totals(maria) == [(linked.today, self._counted(100, 2, 5))]

    # ----------------------------------------------------------------------------------------------

    def _hired(self, linked: OpenTrain, name: str = "Maria S.") -> Hire:
        hire = linked.hire(name)
        linked.run()
        return hire

    def _work(self, linked: OpenTrain, hire: Hire, *, seconds: int, tasks: int, labels: int) -> None:
        # The time that work takes has to pass: a host that observes work counts no more than that.
        linked.travel(seconds=seconds + 1)
        self.do_work(hire.grant, linked.now, seconds=seconds, tasks=tasks, labels=labels)

    def _collect(self, hire: Hire) -> int:
        return usage.collect(hire.contract)

    def _counted(self, seconds: int, tasks: int, labels: int) -> dict[str, int]:
        """Those totals that this host counts."""
        every = {"total_seconds": seconds, "tasks_completed": tasks, "labels_completed": labels}
        return {name: every[name] for name in self.totals}

    def _totals(self, hire: Hire) -> list[tuple[Any, dict[str, int]]]:
        rows = DailyUsage.objects.filter(contract=hire.contract).order_by("work_date")
        return [(row.work_date, {name: getattr(row, name) for name in self.totals}) for row in rows]
