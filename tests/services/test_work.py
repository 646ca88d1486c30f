"""The work ledger: who did it, when, for how long, and which contract pays."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from datetime import timezone as tz
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from django_opentrain.adapters import observers
from django_opentrain.models import AccessGrant, Contract, DailyUsage, WorkEntry
from django_opentrain.models.work import LONGEST_ACTION
from django_opentrain.services import purge, usage, work
from django_opentrain.services.access.hours import BEGINNING, END, Span, paid
from django_opentrain.services.usage import runs
from django_opentrain.services.work import observing
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.played import a_linked_project, a_trainer
from tests.services.conftest import RecordingAdapter

Kind = WorkEntry.Kind


observed: list[str] = []


def observe_host() -> None:
    observed.append("connected")


class ObservingAdapter(RecordingAdapter):
    observes_work = True
    observer = f"{__name__}.observe_host"


def seeds(number: int) -> list[Any]:
    """Of random orders: one that is tried each time, and others that are slow."""
    return [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, number))]


@pytest.fixture
def linked(opentrain: OpenTrain, settings: Any) -> OpenTrain:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.ObservingAdapter"}
    a_linked_project(opentrain)
    return opentrain


@pytest.fixture
def maria(linked: OpenTrain) -> Hire:
    return a_trainer(linked)


def act(hire: Hire, kind: str = Kind.UPDATED, project: str = "p1", **details: Any) -> bool:
    return work.observe(hire.grant.host_user_ref, project, kind, **details)


def totals(hire: Hire) -> list[tuple[int | None, int | None, int | None]]:
    """By day with something in it: seconds, tasks, labels."""
    usage.collect(hire.contract)
    rows = DailyUsage.objects.filter(contract=hire.contract).order_by("work_date")
    days = [(row.total_seconds, row.tasks_completed, row.labels_completed) for row in rows]
    return [day for day in days if any(day)]


class TestObserve:
    def test_a_trainers_action_is_one_statement(self, linked: OpenTrain, maria: Hire) -> None:
        linked.travel(minutes=5)
        ref = maria.grant.host_user_ref
        with CaptureQueriesContext(connection) as queries:
            assert work.observe(ref, "p1", Kind.SUBMITTED, object_id="t1", seconds=60, tasks=1, labels=3)
        # The test's own transaction needs the savepoint.
        assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 1
        entry = WorkEntry.objects.get()
        assert (entry.tenant, entry.external_project_id, entry.object_id) == ("acme", "p1", "t1")
        assert (entry.duration, entry.tasks, entry.labels) == (timedelta(seconds=60), 1, 3)
        assert entry.opentrain_user_id == maria.opentrain_user_id
        assert linked.now - entry.at < timedelta(seconds=5)
        assert entry.access_since == maria.grant.granted_at
        assert totals(maria) == [(60, 1, 3)]

    @pytest.mark.long
    def test_people_who_are_no_trainers_leave_no_trace(self, linked: OpenTrain, maria: Hire) -> None:
        assert not work.observe("someone", "p1", Kind.SUBMITTED, tasks=1)
        assert not work.observe("", "p1", Kind.SUBMITTED, tasks=1)
        assert not act(maria, project="p2", tasks=1)
        linked.end(maria)
        linked.run()
        assert not act(maria, tasks=1)
        assert not WorkEntry.objects.exists()

    def test_an_action_observed_twice_is_stored_once(self, maria: Hire) -> None:
        assert act(maria, tasks=1, key="annotation 7 of 12:00:01")
        with transaction.atomic():
            assert not act(maria, tasks=1, key="annotation 7 of 12:00:01")
        assert totals(maria) == [(0, 1, 0)]

    def test_what_fails_never_reaches_the_hosts_request(
        self, maria: Hire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(WorkEntry._meta, "db_table", "no_such_table")
        with transaction.atomic():
            assert not act(maria, tasks=1)
            assert Contract.objects.count() == 1, "the host's transaction goes on"
        assert not act(maria, project="p" * 201)
        assert not act(maria, kind="DANCED")
        assert not act(maria, seconds=float("nan"))
        assert "could not be recorded" in caplog.text

    def test_a_removal_that_fails_never_does_either(
        self, maria: Hire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert work.note_removal("p" * 201, "t1") == 0
        monkeypatch.setattr(WorkEntry._meta, "db_table", "no_such_table")
        assert work.note_removal("p1", "t1") == 0
        assert caplog.text.count("A removal in project") == 2

    def test_a_time_limit_ends_the_task_that_acts(self, maria: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_late(*_args: Any) -> int:
            raise SoftTimeLimitExceeded

        monkeypatch.setattr(observing, "_insert", too_late)
        with pytest.raises(SoftTimeLimitExceeded):
            act(maria, tasks=1)
        with pytest.raises(SoftTimeLimitExceeded):
            work.note_removal("p1", "t1")

    def test_it_is_part_of_the_hosts_transaction(self, maria: Hire) -> None:
        with transaction.atomic():
            assert act(maria, tasks=1)
            transaction.set_rollback(True)
        assert not WorkEntry.objects.exists()

    @pytest.mark.parametrize("claimed", [-5.0, 1e308, float("inf")])
    def test_any_number_of_seconds_is_taken(self, linked: OpenTrain, maria: Hire, claimed: float) -> None:
        linked.travel(seconds=180)
        assert act(maria, seconds=claimed)
        assert totals(maria) == ([] if claimed < 0 else [(180, 0, 0)])

    def test_what_a_task_has_brought_isnt_counted_again(self, maria: Hire) -> None:
        """Submitted, made a draft by its owner, and submitted again with three labels more."""
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=10)
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=13)
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=4)
        act(maria, Kind.SUBMITTED, object_id="t2", tasks=1, labels=1)
        assert totals(maria) == [(0, 2, 14)]

    @pytest.mark.long
    def test_no_more_is_taken_back_than_was_gained(self, linked: OpenTrain, maria: Hire) -> None:
        joao = linked.hire("João P.")
        linked.run()
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=10)
        act(joao, Kind.UPDATED, object_id="t1", labels=2)
        act(joao, Kind.UPDATED, object_id="t1", labels=-7)
        act(joao, Kind.DELETED, object_id="t2", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        assert (totals(maria), totals(joao)) == ([(0, 1, 10)], [])
        act(maria, Kind.DELETED, object_id="t1", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        assert totals(maria) == []

    def test_what_others_remove_changes_nothing_and_is_shown(self, linked: OpenTrain, maria: Hire) -> None:
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=10)
        act(maria, Kind.UPDATED, object_id="t1", labels=1)
        assert work.note_removal("p1", "t1") == 1
        assert work.note_removal("p1", "t2") == 0
        assert totals(maria) == [(0, 1, 11)]
        shown = work.entries(maria.contract, linked.today, linked.today)
        assert [entry.kind for entry in shown] == [Kind.SUBMITTED, Kind.UPDATED, Kind.REMOVED]

    @pytest.mark.long
    def test_many_removals_are_few_statements(self, maria: Hire) -> None:
        for number in range(3):
            act(maria, Kind.SUBMITTED, object_id=f"t{number}", tasks=1)
            act(maria, Kind.UPDATED, object_id=f"t{number}", labels=1)
        with CaptureQueriesContext(connection) as queries:
            assert work.note_removal("p1", *(f"t{number}" for number in range(1, 1_001))) == 2
        assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 2
        assert totals(maria) == [(0, 3, 3)]

    @pytest.mark.long
    def test_a_trainers_own_deletion_is_no_removal_by_others(self, linked: OpenTrain, maria: Hire) -> None:
        joao = linked.hire("João P.")
        linked.run()
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=10)
        act(joao, Kind.UPDATED, object_id="t1", labels=2)
        act(maria, Kind.DELETED, object_id="t1", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        assert work.note_removal("p1", "t1") == 1
        assert WorkEntry.objects.get(kind=Kind.REMOVED).opentrain_user_id == joao.opentrain_user_id

    def test_a_project_that_is_removed_is_noted_once(self, linked: OpenTrain, maria: Hire) -> None:
        for number in range(3):
            act(maria, Kind.SUBMITTED, object_id=f"t{number}", tasks=1)
        assert work.note_removal("p2") == 0
        assert work.note_removal("p1") == 1
        assert totals(maria) == [(0, 3, 0)]
        *_others, last = work.entries(maria.contract, linked.today, linked.today)
        assert (last.kind, last.object_id) == (Kind.REMOVED, "")


class TestTasks:
    """A task is one for a trainer, however many objects they make of it."""

    def submit(self, hire: Hire, it: str, labels: int = 2, task: str = "t1") -> None:
        act(hire, Kind.SUBMITTED, object_id=it, task_id=task, seconds=1, tasks=1, labels=labels)

    def take_back(self, hire: Hire, it: str, kind: str = Kind.DELETED, task: str = "t1") -> None:
        act(hire, kind, object_id=it, task_id=task, tasks=work.TAKE_BACK, labels=work.TAKE_BACK)

    def count(self, hire: Hire) -> tuple[int, int]:
        entries = WorkEntry.objects.filter(opentrain_user_id=hire.opentrain_user_id)
        return sum(entry.tasks for entry in entries), sum(entry.labels for entry in entries)

    @pytest.mark.long
    def test_a_second_object_is_the_same_task(self, linked: OpenTrain, maria: Hire) -> None:
        linked.travel(minutes=1)
        for it in ("a1", "a2"):
            self.submit(maria, it)
            linked.travel(seconds=10)
        self.submit(maria, "a3", task="t2")
        assert totals(maria) == [(3, 2, 6)]

    @pytest.mark.long
    def test_it_is_one_for_each_trainer(self, linked: OpenTrain, maria: Hire) -> None:
        joao = linked.hire("João P.")
        linked.run()
        self.submit(maria, "a1")
        self.submit(joao, "a2")
        self.take_back(joao, "a2")
        assert (self.count(maria), self.count(joao)) == ((1, 2), (0, 0))

    @pytest.mark.long
    @pytest.mark.parametrize("kind", [Kind.DELETED, Kind.SKIPPED])
    def test_it_is_taken_back_with_the_last_of_them(self, maria: Hire, kind: str) -> None:
        for it in ("a1", "a2"):
            self.submit(maria, it)
        self.take_back(maria, "a1", kind)
        assert self.count(maria) == (1, 2)
        self.take_back(maria, "a1", kind)
        assert self.count(maria) == (1, 2)
        self.take_back(maria, "a2", kind)
        assert self.count(maria) == (0, 0)
        self.submit(maria, "a3")
        assert self.count(maria) == (1, 2)

    @pytest.mark.long
    def test_one_that_is_skipped_leaves_the_other(self, maria: Hire) -> None:
        self.submit(maria, "a1")
        self.take_back(maria, "a2", Kind.SKIPPED)
        assert self.count(maria) == (1, 2)

    def test_what_others_remove_stands(self, maria: Hire) -> None:
        self.submit(maria, "a1")
        assert work.note_removal("p1", "a1") == 1
        self.submit(maria, "a2")
        self.take_back(maria, "a2")
        assert self.count(maria) == (1, 2)

    @pytest.mark.long
    def test_an_object_that_was_moved_belongs_to_its_first_task(self, maria: Hire) -> None:
        self.submit(maria, "a1")
        self.take_back(maria, "a1", Kind.SKIPPED, task="t2")
        change = work.Change(added=0, labels=2)
        act(maria, Kind.SUBMITTED, object_id="a1", task_id="t2", tasks=1, labels=2, change=change)
        assert self.count(maria) == (1, 2)
        self.take_back(maria, "a1", task="t3")
        assert self.count(maria) == (0, 0)
        assert set(WorkEntry.objects.values_list("task_id", flat=True)) == {"t1"}

    @pytest.mark.long
    def test_it_can_be_taken_back_once_older_entries_are_purged(self, linked: OpenTrain, maria: Hire) -> None:
        for it in ("a1", "a2", "a3"):
            self.submit(maria, it)
        WorkEntry.objects.filter(object_id="a1").delete()
        self.submit(maria, "a4")
        self.take_back(maria, "a2")
        WorkEntry.objects.exclude(object_id="a4").delete()
        self.submit(maria, "a5")
        assert WorkEntry.objects.count() == 2

    def test_what_another_took_first_is_seen_in_the_next_attempt(
        self, maria: Hire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in two tabs: between the reading and the writing of one, the other is committed."""
        insert, others = observing._execute, ["a2", "a3"]

        def overtaken(statement: str, params: Any, key: object) -> int:
            if others:
                self.submit(maria, others.pop())
                raise IntegrityError
            return insert(statement, params, key)

        monkeypatch.setattr(observing, "_execute", overtaken)
        self.submit(maria, "a1")
        assert sorted(WorkEntry.objects.values_list("object_id", flat=True)) == ["a1", "a2", "a3"]
        assert self.count(maria) == (1, 6)

    def test_time_and_labels_count_where_the_other_cannot_be_seen(
        self, maria: Hire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        insert = observing._execute

        def unseen(statement: str, params: Any, key: object) -> int:
            if not isinstance(key, str):
                raise IntegrityError
            return insert(statement, params, key)

        monkeypatch.setattr(observing, "_execute", unseen)
        self.submit(maria, "a1")
        assert self.count(maria) == (0, 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", seeds(4))
def test_in_any_order_a_task_is_one_as_long_as_something_of_it_stands(
    linked: OpenTrain, maria: Hire, seed: int
) -> None:
    """Two trainers submit, skip, submit again and delete their annotations and each other's; the owner deletes."""
    dice = random.Random(seed)
    joao = linked.hire("João P.")
    linked.run()
    trainers = {hire.opentrain_user_id: hire for hire in (maria, joao)}
    made: dict[
        str, tuple[str, str, bool]
    ] = {}  # by object, also of deleted ones: trainer, task, whether it stands
    there: list[str] = []
    for number in range(60):
        who = dice.choice(list(trainers))
        step = dice.choice(["make", "make skipped", "skip", "submit", "delete", "owner deletes"])
        it = f"a{number}" if step.startswith("make") else dice.choice(there or [""])
        maker, task, stands = made.get(it, (who, dice.choice(["t1", "t2"]), False))
        if step.startswith("make"):
            there.append(it)
        elif not it:
            continue
        if "delete" in step:
            there.remove(it)
        if step == "owner deletes":
            work.note_removal("p1", it)
        else:
            kind = {"make": Kind.SUBMITTED, "submit": Kind.SUBMITTED, "delete": Kind.DELETED}.get(
                step, Kind.SKIPPED
            )
            tasks = 1 if kind == Kind.SUBMITTED else work.TAKE_BACK
            change = work.Change(0, 0) if step in ("skip", "submit") else None
            assert act(trainers[who], kind, object_id=it, task_id=task, tasks=tasks, change=change)
            stands = kind == Kind.SUBMITTED if who == maker else stands
        made[it] = maker, task, stands
        counted: defaultdict[tuple[str, str], int] = defaultdict(int)
        for entry in WorkEntry.objects.all():
            counted[entry.opentrain_user_id, entry.task_id] += entry.tasks
        standing = {(maker, task) for maker, task, stands in made.values() if stands}
        assert counted == {place: int(place in standing) for place in counted}, step
        assert standing <= set(counted)


class TestChanges:
    """Of an object that was there before: the trainer's own, or a review."""

    def change(self, hire: Hire, added: int, labels: int, kind: str = Kind.UPDATED, tasks: int = 0) -> None:
        number = {Kind.SUBMITTED: labels, Kind.SKIPPED: work.TAKE_BACK}.get(Kind(kind), added)
        change = work.Change(added=added, labels=labels)
        act(hire, kind, object_id="a1", task_id="t1", tasks=tasks, labels=number, change=change)

    def last(self) -> tuple[str, int, int]:
        entry = WorkEntry.objects.latest("pk")
        return entry.kind, entry.tasks, entry.labels

    @pytest.fixture
    def joao(self, linked: OpenTrain, maria: Hire) -> Hire:
        joao = linked.hire("João P.")
        linked.run()
        act(maria, Kind.SUBMITTED, object_id="a1", task_id="t1", tasks=1, labels=5)
        return joao

    @pytest.mark.long
    def test_of_ones_own_it_is_what_it_says(self, maria: Hire, joao: Hire) -> None:
        self.change(maria, 2, 7)
        assert self.last() == (Kind.UPDATED, 0, 2)
        self.change(maria, 0, 7, Kind.SKIPPED, work.TAKE_BACK)
        assert self.last() == (Kind.SKIPPED, -1, -7)
        self.change(maria, 0, 7, Kind.SUBMITTED, 1)
        assert self.last() == (Kind.SUBMITTED, 1, 7)

    @pytest.mark.long
    def test_of_anothers_it_is_a_review(self, joao: Hire) -> None:
        for kind, tasks in ((Kind.UPDATED, 0), (Kind.SKIPPED, work.TAKE_BACK), (Kind.SUBMITTED, 1)):
            self.change(joao, 0, 5, kind, tasks)
            assert self.last() == (Kind.REVIEWED, 0, 0)
        self.change(joao, 2, 7, Kind.SUBMITTED, 1)
        assert self.last() == (Kind.REVIEWED, 0, 2)

    @pytest.mark.long
    def test_a_label_counts_once_for_all_trainers(self, maria: Hire, joao: Hire) -> None:
        """Who takes another's labels off, and puts them there again, has added none."""
        self.change(joao, -5, 0)
        self.change(joao, 5, 5)
        assert self.last() == (Kind.REVIEWED, 0, 0)
        self.change(joao, 2, 7)
        assert self.last() == (Kind.REVIEWED, 0, 2)
        self.change(maria, -7, 0)
        self.change(maria, 7, 7)
        assert self.last() == (Kind.UPDATED, 0, 5)

    @pytest.mark.long
    def test_what_others_have_added_is_not_the_trainers_to_lose(self, maria: Hire, joao: Hire) -> None:
        """The customer adds ten labels, and has the trainer take them off."""
        self.change(maria, -10, 5)
        assert self.last() == (Kind.UPDATED, 0, 0)
        self.change(joao, 1, 6)
        self.change(maria, -3, 3)
        assert self.last() == (Kind.UPDATED, 0, -3)

    def test_labels_that_are_added_with_a_skip_count_once_too(self, joao: Hire) -> None:
        self.change(joao, -5, 0)
        self.change(joao, 5, 5, Kind.SKIPPED, work.TAKE_BACK)
        assert self.last() == (Kind.REVIEWED, 0, 0)

    def test_imported_labels_are_nobodys(self, maria: Hire) -> None:
        self.change(maria, 1, 10)
        assert self.last() == (Kind.REVIEWED, 0, 1)

    def test_it_is_one_statement(self, maria: Hire) -> None:
        act(maria, Kind.SUBMITTED, object_id="a1", task_id="t1", tasks=1, labels=5)
        ref = maria.grant.host_user_ref
        for kind, tasks in (
            (Kind.SKIPPED, work.TAKE_BACK),
            (Kind.SUBMITTED, 1),
            (Kind.DELETED, work.TAKE_BACK),
        ):
            with CaptureQueriesContext(connection) as queries:
                assert work.observe(
                    ref,
                    "p1",
                    kind,
                    object_id="a1",
                    task_id="t1",
                    tasks=tasks,
                    labels=3,
                    change=work.Change(added=0, labels=5),
                )
            assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 1


class TestLabels:
    """Objects that are single labels: each that is added is a new one."""

    def add(self, hire: Hire, it: str, task: str = "t1") -> int:
        assert act(hire, object_id=it, task_id=task, labels=1, is_label=True)
        return WorkEntry.objects.latest("pk").labels

    def take_back(self, hire: Hire, it: str, task: str = "t1") -> int:
        assert act(hire, Kind.DELETED, object_id=it, task_id=task, labels=work.TAKE_BACK, is_label=True)
        return WorkEntry.objects.latest("pk").labels

    @pytest.fixture
    def joao(self, linked: OpenTrain, maria: Hire) -> Hire:
        joao = linked.hire("João P.")
        linked.run()
        return joao

    @pytest.mark.long
    def test_one_in_the_place_of_a_removed_one_is_not_new(self, maria: Hire, joao: Hire) -> None:
        assert [self.add(maria, "l1"), self.add(maria, "l2")] == [1, 1]
        work.note_removal("p1", "l1")
        assert self.add(joao, "l3") == 0
        assert self.add(joao, "l4") == 1
        assert self.add(joao, "l5", task="t2") == 1
        work.note_removal("p1", "l3")
        assert [self.add(maria, "l6"), self.add(maria, "l7")] == [0, 1]

    @pytest.mark.long
    def test_what_trainers_take_back_leaves_no_gap(self, maria: Hire, joao: Hire) -> None:
        self.add(maria, "l1")
        assert self.take_back(maria, "l1") == -1
        assert self.add(joao, "l2") == 1
        work.note_removal("p1", "l2")
        assert self.add(maria, "l3") == 0
        assert self.take_back(maria, "l3") == 0
        assert [self.add(maria, "l4"), self.add(maria, "l5")] == [0, 1]

    @pytest.mark.long
    @pytest.mark.parametrize("seed", seeds(4))
    def test_in_any_order_no_more_count_than_there_were_at_once(
        self, maria: Hire, joao: Hire, seed: int
    ) -> None:
        dice = random.Random(seed)
        there: dict[str, Hire] = {}
        for number in range(60):
            who, it = dice.choice([maria, joao]), dice.choice([*there, "new"])
            before = sum(entry.labels for entry in WorkEntry.objects.all())
            if it == "new":
                self.add(who, f"l{number}")
                there[f"l{number}"] = who
                expected = max(before, len(there))
            elif there.pop(it) is who:
                # One that takes a removed one's place has brought none, and takes none back.
                expected = before + self.take_back(who, it)
            else:
                work.note_removal("p1", it)
                expected = before
            counted = sum(entry.labels for entry in WorkEntry.objects.all())
            assert len(there) <= counted == expected

    def test_it_is_one_statement(self, maria: Hire) -> None:
        self.add(maria, "l1")
        details: dict[str, Any] = {"object_id": "l2", "task_id": "t1", "labels": 1, "is_label": True}
        ref = maria.grant.host_user_ref
        with CaptureQueriesContext(connection) as queries:
            assert work.observe(ref, "p1", Kind.UPDATED, **details)
        assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 1


class TestTime:
    """What two actions claim counts once, and nothing from before the access."""

    def test_no_time_from_before_the_access(self, linked: OpenTrain, maria: Hire) -> None:
        linked.travel(minutes=3)
        act(maria, seconds=80_000)
        assert totals(maria) == [(180, 0, 0)]

    def test_an_idle_tab_counts_half_an_hour(self, linked: OpenTrain, maria: Hire) -> None:
        linked.travel(hours=8)
        act(maria, seconds=8 * 3600)
        assert totals(maria) == [(1800, 0, 0)]

    @pytest.mark.long
    def test_tabs_and_projects_are_united(self, linked: OpenTrain, maria: Hire) -> None:
        linked.link("p2", job="Another job")
        there = linked.hire(again=maria)
        linked.run()
        linked.travel(minutes=10)
        act(maria, seconds=600)
        linked.travel(minutes=1)
        assert work.observe(maria.grant.host_user_ref, "p2", Kind.UPDATED, seconds=660)
        assert (totals(maria), totals(there)) == ([(600, 0, 0)], [(60, 0, 0)])

    def test_what_claims_no_time_cuts_nothing_off(self, linked: OpenTrain, maria: Hire) -> None:
        linked.travel(seconds=20)
        act(maria, labels=1)
        linked.travel(seconds=10)
        act(maria, seconds=30)
        assert totals(maria) == [(30, 0, 1)]

    def test_an_interval_that_arrives_late_fills_only_what_is_free(
        self, linked: OpenTrain, maria: Hire
    ) -> None:
        linked.travel(seconds=60)
        earlier = linked.now
        linked.travel(seconds=60)
        act(maria, seconds=80)
        act(maria, Kind.ACTIVITY, seconds=60, at=earlier)
        act(maria, Kind.ACTIVITY, seconds=60, at=earlier)
        assert totals(maria) == [(120, 0, 0)]

    def test_across_midnight_it_counts_on_the_day_of_the_action(self, linked: OpenTrain, maria: Hire) -> None:
        midnight = datetime.combine(linked.today + timedelta(days=1), datetime.min.time(), tz.utc)
        linked.travel(seconds=(midnight - linked.now).total_seconds() - 10)
        act(maria, seconds=100)
        linked.travel(seconds=20)
        act(maria, seconds=100)
        assert totals(maria) == [(100, 0, 0), (20, 0, 0)]


class TestDays:
    @pytest.mark.long
    def test_a_later_edit_counts_today(self, linked: OpenTrain, maria: Hire) -> None:
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=2)
        linked.travel(days=10)
        act(maria, Kind.UPDATED, object_id="t1", seconds=15, labels=1)
        assert totals(maria) == [(0, 1, 2), (15, 0, 1)]

    @pytest.mark.long
    def test_what_is_taken_back_comes_off_today_and_then_off_later_days(
        self, linked: OpenTrain, maria: Hire
    ) -> None:
        for day in ("t1", "t2"):
            act(maria, Kind.SUBMITTED, object_id=day, tasks=1, labels=10)
        linked.travel(days=1)
        act(maria, Kind.DELETED, object_id="t1", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        act(maria, Kind.SUBMITTED, object_id="t3", tasks=1, labels=4)
        assert totals(maria) == [(0, 2, 20)]
        linked.travel(days=1)
        act(maria, Kind.SUBMITTED, object_id="t4", tasks=1, labels=8)
        assert totals(maria) == [(0, 2, 20), (0, 1, 2)]

    @pytest.mark.long
    @pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Kiritimati", "Asia/Kathmandu"])
    def test_days_begin_at_midnight_of_the_usage_time_zone(
        self, linked: OpenTrain, maria: Hire, settings: Any, zone: str
    ) -> None:
        settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": zone}
        tomorrow = linked.today + timedelta(days=2)
        midnight = datetime.combine(tomorrow, datetime.min.time(), ZoneInfo(zone))
        for moment in (midnight - timedelta(minutes=1), midnight + timedelta(minutes=1)):
            linked.travel(seconds=(moment - linked.now).total_seconds())
            act(maria, seconds=30)
        usage.collect(maria.contract)
        days = DailyUsage.objects.order_by("work_date").values_list("work_date", "total_seconds")
        assert list(days) == [(tomorrow - timedelta(days=1), 30), (tomorrow, 30)]

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("zone", "changes"),
        [
            ("Europe/Berlin", date(2027, 3, 28)),
            ("Africa/Cairo", date(2027, 4, 30)),  # has no midnight
            ("America/Santiago", date(2027, 4, 4)),  # has two
            ("Australia/Lord_Howe", date(2027, 4, 4)),  # by half an hour
        ],
    )
    def test_on_days_on_which_clocks_change_each_action_is_on_its_day(
        self, linked: OpenTrain, maria: Hire, settings: Any, zone: str, changes: date
    ) -> None:
        settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": zone}
        begin = datetime.combine(changes - timedelta(days=1), datetime.min.time(), ZoneInfo(zone))
        linked.travel(seconds=(begin - linked.now).total_seconds() - 5 * 3600)
        expected: defaultdict[date, int] = defaultdict(int)
        for number in range(1, 80):
            linked.travel(minutes=47)
            act(maria, seconds=number)
            expected[linked.now.astimezone(ZoneInfo(zone)).date()] += number
        usage.collect(maria.contract)
        rows = DailyUsage.objects.filter(total_seconds__gt=0).values_list("work_date", "total_seconds")
        assert dict(rows) == expected
        assert len(expected) >= 4

    @pytest.mark.long
    def test_days_stay_where_the_time_zone_is_changed(
        self, linked: OpenTrain, maria: Hire, settings: Any
    ) -> None:
        linked.travel(minutes=1)
        act(maria, seconds=30)
        before = totals(maria)
        settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": "Pacific/Kiritimati"}
        linked.travel(hours=5)
        assert totals(maria) == before == [(30, 0, 0)]
        act(maria, seconds=40)
        assert totals(maria) == [(30, 0, 0), (40, 0, 0)]


class TestContracts:
    @pytest.mark.long
    def test_hired_again_on_one_day_each_action_is_one_contracts(
        self, linked: OpenTrain, maria: Hire
    ) -> None:
        linked.travel(minutes=10)
        act(maria, Kind.SUBMITTED, object_id="t1", seconds=300, tasks=1, labels=3)
        linked.end(maria)
        linked.run()
        linked.travel(minutes=10)
        again = linked.hire(again=maria)
        linked.run()
        linked.travel(minutes=2)
        act(again, Kind.SUBMITTED, object_id="t2", seconds=900, tasks=1, labels=5)
        assert (totals(maria), totals(again)) == ([(300, 1, 3)], [(120, 1, 5)])

    @pytest.mark.long
    def test_what_is_learned_late_moves_the_work(self, linked: OpenTrain, maria: Hire) -> None:
        """The trainer was hired anew, and went on; here it was known two hours later."""
        linked.travel(minutes=10)
        act(maria, seconds=100)
        linked.travel(seconds=1)
        linked.end(maria)
        again = linked.hire(again=maria)
        linked.travel(hours=2)
        act(maria, seconds=200, tasks=1)
        assert totals(maria) == [(300, 1, 0)]
        linked.run()
        assert (totals(maria), totals(again)) == ([(100, 0, 0)], [(200, 1, 0)])

    @pytest.mark.long
    def test_work_done_before_access_is_closed_is_the_ended_contracts(
        self, linked: OpenTrain, maria: Hire
    ) -> None:
        linked.travel(minutes=1)
        linked.end(maria)
        linked.travel(seconds=30)
        act(maria, seconds=20)
        linked.run()
        assert totals(maria) == [(20, 0, 0)]


@pytest.mark.long
@pytest.mark.parametrize("seed", seeds(12))
def test_in_any_order_each_second_is_paid_once(linked: OpenTrain, seed: int) -> None:
    """Hires, ends, news that come late, work in two projects and over midnight, what is taken back and removed."""
    dice = random.Random(seed)
    linked.link("p2", job="Another job")
    linked.link("p3", job="A third job")
    maria, joao = linked.hire("Maria S.", job="Another job"), linked.hire("João P.", job="Another job")
    hires = [maria, joao]
    linked.run()
    for _step in range(60):
        linked.travel(seconds=dice.choice([1, 7, 40, 600, 2400, 20_000, 100_000]))
        action = dice.randrange(10)
        if action == 0:
            job = dice.choice(["Another job", "A third job"])
            hires.append(linked.hire(again=dice.choice([maria, joao]), job=job))
        elif action == 1 and len(hires) > 2:
            linked.end(hires.pop(dice.randrange(2, len(hires))))
        elif action == 2:
            linked.run()
        elif action == 3:
            contract = dice.choice(list(Contract.objects.all()))
            usage.collect(contract, recent_only=dice.random() < 0.5)
        else:
            _act_somehow(dice, dice.choice([maria, joao]))
    linked.run()
    for recent_only in (True, False):
        for contract in Contract.objects.all():
            usage.collect(contract, recent_only=recent_only)
        _compare_by_hand()


def _compare_by_hand() -> None:
    expected = by_hand()
    for row in DailyUsage.objects.all():
        got = (row.total_seconds, row.tasks_completed, row.labels_completed)
        assert got == expected.pop((row.contract_id, row.work_date), (0, 0, 0))
    assert not [key for key, amounts in expected.items() if any(amounts)], "work that is reported nowhere"
    assert DailyUsage.objects.filter(total_seconds__gt=0).exists()


def _act_somehow(dice: random.Random, trainer: Hire) -> None:
    kind = dice.choice([Kind.SUBMITTED, Kind.UPDATED, Kind.DELETED, Kind.ACTIVITY])
    number = work.TAKE_BACK if kind == Kind.DELETED else dice.randrange(4)
    work.observe(
        f"user-{trainer.opentrain_user_id}",
        dice.choice(["p2", "p3"]),
        kind,
        object_id=f"t{dice.randrange(5)}",
        seconds=dice.choice([0, 0, 5, 50, 700, 9000]),
        tasks=number,
        labels=number,
    )


Amounts = tuple[int, int, int]


def by_hand() -> dict[tuple[int, date], Amounts]:
    """The days by the rule as it is documented, one entry after the other."""
    days: defaultdict[tuple[int, date], list[int]] = defaultdict(lambda: [0, 0, 0])
    claimed: dict[str, datetime] = {}
    for entry in WorkEntry.objects.order_by("at", "pk"):
        begin = max(entry.at - min(entry.duration, LONGEST_ACTION), entry.access_since)
        begin = max(begin, claimed.get(entry.opentrain_user_id, begin))
        if entry.duration:
            claimed[entry.opentrain_user_id] = entry.at
        day = days[payer(entry).pk, entry.at.date()]
        day[0] += max(entry.at - begin, timedelta()) // timedelta(microseconds=1)
        day[1] += entry.tasks
        day[2] += entry.labels
    result: dict[tuple[int, date], Amounts] = {}
    owed: defaultdict[int, Amounts] = defaultdict(lambda: (0, 0, 0))
    for (contract, moment), (time, tasks, labels) in sorted(days.items()):
        debt = owed[contract]
        sums = time // 10**6 + debt[0], tasks + debt[1], labels + debt[2]
        result[contract, moment] = (max(sums[0], 0), max(sums[1], 0), max(sums[2], 0))
        owed[contract] = (min(sums[0], 0), min(sums[1], 0), min(sums[2], 0))
    return result


def payer(entry: WorkEntry) -> Contract:
    """Of the trainer's contracts for this project: the first to have begun that runs, or the last to have ended."""
    grants = AccessGrant.objects.filter(
        participant__opentrain_user_id=entry.opentrain_user_id,
        link__external_project_id=entry.external_project_id,
    )
    contracts = list(Contract.objects.filter(grants__in=grants).order_by("start_at", "pk"))
    begun = [each for each in contracts if each.start_at and each.start_at <= entry.at] or contracts[:1]
    running = [each for each in begun if each.end_at is None or entry.at < each.end_at]
    return running[0] if running else max(begun, key=lambda each: (each.end_at, each.start_at, each.pk))


class TestCollecting:
    @pytest.mark.long
    def test_where_nothing_is_new_no_contract_is_collected(
        self, linked: OpenTrain, maria: Hire, django_assert_num_queries: Any
    ) -> None:
        act(maria, tasks=1)
        linked.travel(minutes=15)
        linked.run()
        collected = maria.contract.usage_collected_at
        linked.travel(minutes=15)
        with django_assert_num_queries(1):
            assert runs.run_due() == 0
        assert maria.contract.usage_collected_at == collected
        act(maria, tasks=1, at=linked.now - timedelta(minutes=20))
        runs.run_due()
        assert DailyUsage.objects.get().tasks_completed == 2

    @pytest.mark.long
    def test_without_news_all_days_are_derived_once_a_day(self, linked: OpenTrain, maria: Hire) -> None:
        act(maria, tasks=1)
        linked.run()
        linked.travel(days=1)
        asked_at = linked.now
        runs.run_due()
        collected = maria.contract.usage_collected_at
        assert collected is not None
        assert collected >= asked_at

    @pytest.mark.long
    def test_of_the_last_days_alone_what_was_owed_before_is_taken_off(
        self, linked: OpenTrain, maria: Hire
    ) -> None:
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=3)
        linked.travel(days=1)
        act(maria, Kind.DELETED, object_id="t1", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        usage.collect(maria.contract)
        linked.travel(days=10)
        usage.collect(maria.contract)
        linked.travel(minutes=15)
        act(maria, tasks=2, labels=5)
        DailyUsage.objects.filter(labels_completed=3).update(labels_completed=4)
        assert usage.collect(maria.contract, recent_only=True) == 1
        rows = DailyUsage.objects.order_by("work_date")
        days = [(row.tasks_completed, row.labels_completed, row.owed_labels) for row in rows]
        assert days == [(1, 4, 0), (0, 0, 3), (1, 2, 0)], "an older day isn't derived anew"
        assert usage.collect(maria.contract) == 1
        assert totals(maria) == [(0, 1, 3), (0, 1, 2)]

    @pytest.mark.long
    def test_older_days_are_derived_anew_where_other_hours_are_the_contracts(
        self, linked: OpenTrain, maria: Hire
    ) -> None:
        act(maria, tasks=1, labels=3)
        linked.travel(days=1)
        linked.run()
        Contract.objects.update(start_date=linked.today)
        linked.travel(days=10)
        DailyUsage.objects.update(labels_completed=7)
        linked.run()
        assert DailyUsage.objects.get().labels_completed == 7, "it is before the first day"
        Contract.objects.update(start_date=None)
        linked.travel(days=1)
        linked.run()
        assert DailyUsage.objects.get().labels_completed == 3

    @pytest.mark.long
    @pytest.mark.parametrize("write", [usage.record, usage.add])
    def test_what_the_host_writes_on_an_older_day_is_replaced(
        self, linked: OpenTrain, maria: Hire, write: Any
    ) -> None:
        act(maria, tasks=1, labels=3)
        linked.travel(days=10)
        linked.run()
        write(maria.contract, linked.today - timedelta(days=10), labels_completed=7)
        linked.travel(days=1)
        linked.run()
        assert DailyUsage.objects.get().labels_completed == 3

    @pytest.mark.long
    def test_what_was_worked_off_exactly_is_not_taken_off_again(self, linked: OpenTrain, maria: Hire) -> None:
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=3)
        linked.travel(days=1)
        act(maria, Kind.DELETED, object_id="t1", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        linked.travel(days=1)
        act(maria, tasks=1, labels=3)
        usage.collect(maria.contract)
        linked.travel(days=10)
        usage.collect(maria.contract)
        linked.travel(minutes=15)
        act(maria, tasks=2, labels=5)
        usage.collect(maria.contract, recent_only=True)
        newest = DailyUsage.objects.latest("work_date")
        assert (newest.tasks_completed, newest.labels_completed) == (2, 5)
        assert totals(maria) == [(0, 1, 3), (0, 2, 5)]

    @pytest.mark.long
    @pytest.mark.parametrize("recorded_days_ago", [0, 2, 9])
    def test_a_day_that_the_host_records_hides_no_debt(
        self, linked: OpenTrain, maria: Hire, recorded_days_ago: int
    ) -> None:
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=1, labels=3)
        linked.travel(days=1)
        act(maria, Kind.DELETED, object_id="t1", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        usage.collect(maria.contract)
        linked.travel(days=10)
        usage.record(maria.contract, linked.today - timedelta(days=recorded_days_ago), labels_completed=7)
        for collected in ("frequent", "full", "frequent"):
            linked.travel(minutes=15)
            act(maria, tasks=2, labels=5)
            usage.collect(maria.contract, recent_only=collected == "frequent")
        newest = DailyUsage.objects.latest("work_date")
        assert (newest.tasks_completed, newest.labels_completed) == (5, 12)

    @pytest.mark.long
    def test_a_pass_takes_as_many_queries_however_much_was_done(
        self, linked: OpenTrain, maria: Hire, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(30):
            act(maria, Kind.SUBMITTED, object_id=f"t{number}", tasks=1)
            linked.travel(hours=20)
        contract = maria.contract
        with django_assert_max_num_queries(9):
            assert usage.collect(contract) > 20


class TestKept:
    @pytest.mark.long
    def test_whole_days_are_purged_and_their_totals_stay(
        self, linked: OpenTrain, maria: Hire, settings: Any
    ) -> None:
        act(maria, tasks=1)
        linked.travel(days=1)
        act(maria, tasks=2)
        assert totals(maria) == [(0, 1, 0), (0, 2, 0)]
        linked.travel(days=400)
        assert purge.run().work_entries == 1
        assert WorkEntry.objects.get().tasks == 2
        assert totals(maria) == [(0, 1, 0), (0, 2, 0)]

    @pytest.mark.long
    def test_what_was_taken_back_stays_so_once_it_is_purged(self, linked: OpenTrain, maria: Hire) -> None:
        act(maria, Kind.SUBMITTED, object_id="t1", tasks=2, labels=3)
        linked.travel(days=1)
        act(maria, Kind.DELETED, object_id="t1", tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
        linked.travel(days=100)
        act(maria, tasks=5, labels=2)
        linked.travel(days=1)
        act(maria, labels=2)
        expected = [(0, 2, 3), (0, 3, 0), (0, 0, 1)]
        assert totals(maria) == expected
        linked.travel(days=300)
        assert purge.run().work_entries == 2
        assert totals(maria) == expected
        linked.travel(days=99)
        for _day in range(3):
            purge.run()
            assert totals(maria) == expected
            linked.travel(days=1)
        assert not WorkEntry.objects.exists()

    @pytest.mark.long
    def test_time_is_counted_once_after_the_day_before_is_purged(
        self, linked: OpenTrain, maria: Hire
    ) -> None:
        late = (linked.now + timedelta(days=1)).replace(hour=23, minute=50)
        linked.travel(seconds=(late - linked.now).total_seconds())
        act(maria, seconds=600)
        linked.travel(minutes=15)
        act(maria, seconds=1800)
        assert totals(maria) == [(600, 0, 0), (900, 0, 0)]
        linked.travel(days=399)
        for _day in range(3):
            purge.run()
            assert totals(maria) == [(600, 0, 0), (900, 0, 0)]
            linked.travel(days=1)
        assert not WorkEntry.objects.exists()

    def test_the_sites_observer_is_called(self, settings: Any) -> None:
        settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.ObservingAdapter"}
        observed.clear()
        observers.connect()
        assert observed == ["connected"]
        settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "no.such.Adapter"}
        observers.connect()


class TestPaid:
    """Which contract pays when, as a function of when they were active."""

    def test_without_a_contract_nothing_is_paid(self) -> None:
        assert list(paid([])) == []

    @pytest.mark.parametrize(
        ("spans", "expected"),
        [
            ([(1, 2, None)], [(1, None, None)]),
            ([(1, 2, 5)], [(1, None, None)]),
            ([(1, 2, 5), (2, 7, None)], [(1, None, 7), (2, 7, None)]),
            ([(2, 3, None), (1, 2, 5)], [(1, None, 5), (2, 5, None)]),
            ([(1, 2, 5), (2, 3, 4)], [(1, None, None)]),
            ([(1, 2, 9), (2, 3, 12), (3, 9, 10)], [(1, None, 9), (2, 9, None)]),
            # Both know their day only: the earlier record goes first.
            ([(1, 0, 5), (2, 0, None)], [(1, None, 5), (2, 5, None)]),
        ],
    )
    def test_at_each_instant_it_is_one(
        self, spans: list[tuple[int, int, int | None]], expected: list[tuple[int, int | None, int | None]]
    ) -> None:
        at: Callable[[int], datetime] = lambda hour: datetime(2026, 3, 1, hour, tzinfo=tz.utc)  # noqa: E731
        given = [
            Span(contract=pk, begin=at(begin), end=END if end is None else at(end))
            for pk, begin, end in spans
        ]
        got = [(each.contract, each.since, each.until) for each in paid(given)]
        assert got == [
            (pk, BEGINNING if since is None else at(since), END if until is None else at(until))
            for pk, since, until in expected
        ]
