"""What counts as a trainer's work inside Label Studio, however it is edited, deleted and imported again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_opentrain.adapters.label_studio import model
from django_opentrain.models import DailyUsage, WorkEntry
from django_opentrain.models.work import LONGEST_ACTION
from django_opentrain.services import usage
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.hosts.studio import Site, browser_of, choice

if not apps.is_installed("organizations"):
    pytest.skip("not inside Label Studio: run tox -e label-studio", allow_module_level=True)

from core.utils.common import temporary_disconnect_all_signals  # type: ignore[import-not-found]

pytestmark = pytest.mark.django_db
JSON = "application/json"
Kind = WorkEntry.Kind


class Worker:
    """A person at work: each request in a new session, since days may pass in between."""

    def __init__(self, user: Any) -> None:
        self.user = user

    def __call__(self, call: str, data: Any = None, status: int = 200) -> Any:
        method, url = call.split(" ", 1)
        body = {} if method == "GET" else {"data": data or {}, "content_type": JSON}
        self.user.refresh_from_db()
        response = getattr(browser_of(self.user), method.lower())(url, **body)
        assert response.status_code == status, getattr(response, "content", "")
        content = b"".join(response) if status != 204 else b""
        return json.loads(content) if "json" in response.get("Content-Type", "") and content else None

    def submit(self, task: Any, seconds: Any, labels: int, **more: Any) -> int:
        """The id of the new annotation."""
        data = {"lead_time": seconds, "result": result(labels), **more}
        return int(self(f"POST /api/tasks/{task.pk}/annotations/", data, 201)["id"])

    def update(self, annotation: int, seconds: Any, labels: int, **more: Any) -> None:
        data = {"lead_time": seconds, "result": result(labels), **more}
        self(f"PATCH /api/annotations/{annotation}/", data)


def another_task(site: Site) -> Any:
    return model("tasks.Task").objects.create(project=site.own, data={"text": "Invoice 19"}, overlap=9)


def result(labels: int) -> list[dict[str, Any]]:
    return [choice(str(number)) for number in range(labels)]


@pytest.fixture
def site(opentrain: OpenTrain) -> Site:
    return Site(opentrain)


@pytest.fixture
def hire(site: Site) -> Hire:
    hire = site.hire(name="Maria S.")
    site.opentrain.travel(hours=2)
    return hire


@pytest.fixture
def maria(site: Site, hire: Hire) -> Worker:
    return Worker(site.user_of(hire))


@pytest.fixture
def owner(site: Site) -> Worker:
    return Worker(site.owner)


@pytest.fixture
def joao_hire(site: Site, hire: Hire) -> Hire:
    joao = site.hire(name="João P.")
    site.opentrain.travel(hours=1)
    return joao


@pytest.fixture
def joao(site: Site, joao_hire: Hire) -> Worker:
    return Worker(site.user_of(joao_hire))


def days(hire: Hire) -> list[tuple[int, int, int]]:
    """Seconds, tasks and labels of each day that has any."""
    usage.collect(hire.contract)
    rows = DailyUsage.objects.filter(contract=hire.contract).order_by("work_date")
    totals = [(row.total_seconds or 0, row.tasks_completed or 0, row.labels_completed or 0) for row in rows]
    return [day for day in totals if any(day)]


def test_the_editors_urls_are_observed(site: Site, hire: Hire, maria: Worker) -> None:
    """They lack the last slash: Label Studio answers such requests in a second round."""
    url = f"POST /api/tasks/{site.task.pk}/annotations?project={site.own.pk}"
    annotation = maria(url, {"lead_time": 100, "result": result(2)}, 201)["id"]
    site.opentrain.travel(minutes=10)
    maria(
        f"PATCH /api/annotations/{annotation}?project={site.own.pk}", {"lead_time": 120, "result": result(3)}
    )
    assert days(hire) == [(120, 1, 3)]


# Others' work ---------------------------------------------------------------------------------


def test_a_reviewer_who_is_no_trainer_leaves_no_trace(site: Site, hire: Hire, maria: Worker) -> None:
    annotation = maria.submit(site.task, 100, 2)
    site.opentrain.travel(minutes=10)
    for reviewer in (site.owner, site.member):
        Worker(reviewer).update(annotation, 4100, 19)
    assert days(hire) == [(100, 1, 2)]
    assert WorkEntry.objects.count() == 1


def test_a_trainer_who_corrects_anothers_work_has_their_own_time(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker
) -> None:
    annotation = maria.submit(site.task, 100, 2)
    site.opentrain.travel(minutes=10)
    joao.update(annotation, 107, 3)
    site.opentrain.travel(minutes=10)
    joao.update(annotation, 112, 0)
    assert days(hire) == [(100, 1, 2)]
    assert days(joao_hire) == [(12, 0, 0)], "what he took off of hers is not his"
    assert set(WorkEntry.objects.values_list("kind", flat=True)) == {Kind.SUBMITTED, Kind.REVIEWED}


def test_to_skip_anothers_work_and_back_is_no_work(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker
) -> None:
    annotation = maria.submit(site.task, 100, 2)
    for was_cancelled in (True, False):
        joao(f"PATCH /api/annotations/{annotation}/", {"was_cancelled": was_cancelled})
    assert days(hire) == [(100, 1, 2)]
    assert days(joao_hire) == []


def test_an_author_can_be_changed_and_the_work_stays(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker, owner: Worker
) -> None:
    annotation = maria.submit(site.task, 100, 2)
    site.opentrain.travel(minutes=10)
    joao(f"PATCH /api/annotations/{annotation}/", {"completed_by": joao.user.pk}, 403)
    owner(f"PATCH /api/annotations/{annotation}/", {"completed_by": joao.user.pk})
    assert days(hire) == [(100, 1, 2)]
    assert days(joao_hire) == []


def test_whose_a_row_says_it_is_brings_nothing(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker, owner: Worker
) -> None:
    """Also where the owner has said so: skipped and back, updated and deleted, it is not the named trainer's."""
    annotation = maria.submit(site.task, 100, 2)
    owner(f"PATCH /api/annotations/{annotation}/", {"completed_by": joao.user.pk})
    for was_cancelled in (True, False, True, False):
        joao(f"PATCH /api/annotations/{annotation}/", {"was_cancelled": was_cancelled})
    joao(f"PATCH /api/annotations/{annotation}/", {"result": result(3)})
    assert days(joao_hire) == [(0, 0, 1)], "the label that he added"
    joao(f"DELETE /api/annotations/{annotation}/", status=204)
    assert days(joao_hire) == []
    assert days(hire) == [(100, 1, 2)]
    assert WorkEntry.objects.get(kind=Kind.REMOVED).opentrain_user_id == hire.opentrain_user_id


def test_without_our_settings_it_is_the_callers_too(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_opentrain.permissions.label_studio._is_trainer", lambda _user: False)
    annotation = maria.submit(site.task, 100, 2, completed_by=joao.user.pk)
    joao(f"PATCH /api/annotations/{annotation}/", {"completed_by": joao.user.pk, "was_cancelled": True})
    joao(f"PATCH /api/annotations/{annotation}/", {"was_cancelled": False})
    joao.submit(site.second, 30, 1, completed_by=maria.user.pk)
    assert days(hire) == [(100, 1, 2)]
    assert days(joao_hire) == [(30, 1, 1)]


def test_anothers_labels_that_are_taken_off_and_put_back_are_no_work(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker
) -> None:
    annotation = maria.submit(site.task, 100, 5)
    for _round in range(2):
        for person in (joao, maria):
            person(f"PATCH /api/annotations/{annotation}/", {"result": []})
            person(f"PATCH /api/annotations/{annotation}/", {"result": result(5)})
    joao(f"PATCH /api/annotations/{annotation}/", {"result": result(7)})
    assert days(hire) == [(100, 1, 5)]
    assert days(joao_hire) == [(0, 0, 2)]


def test_what_the_owner_adds_is_not_the_trainers_to_lose(
    site: Site, hire: Hire, maria: Worker, owner: Worker
) -> None:
    annotation = maria.submit(site.task, 100, 5)
    owner(f"PATCH /api/annotations/{annotation}/", {"result": result(15)})
    maria(f"PATCH /api/annotations/{annotation}/", {"result": result(5)})
    assert days(hire) == [(100, 1, 5)]
    maria(f"PATCH /api/annotations/{annotation}/", {"result": result(3)})
    assert days(hire) == [(100, 1, 3)]


# Tasks ----------------------------------------------------------------------------------------


def test_a_second_annotation_of_a_task_is_no_other_task(site: Site, hire: Hire, maria: Worker) -> None:
    """Its time and labels count. The task stands as long as one of them does."""
    first, second = (maria.submit(site.task, 0, labels) for labels in (2, 3))
    assert days(hire) == [(0, 1, 5)]
    maria(f"DELETE /api/annotations/{first}/", status=204)
    assert days(hire) == [(0, 1, 3)]
    maria(f"DELETE /api/annotations/{second}/", status=204)
    assert days(hire) == []
    maria.submit(site.task, 0, 1)
    maria.submit(site.second, 0, 1)
    assert days(hire) == [(0, 2, 2)]


def test_a_task_that_is_finished_again_is_one_for_each_trainer(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker
) -> None:
    for person in (maria, joao, maria, joao):
        person.submit(site.task, 0, 1)
    assert (days(hire), days(joao_hire)) == ([(0, 1, 2)], [(0, 1, 2)])


def test_a_skip_next_to_a_submission_takes_nothing_back(site: Site, hire: Hire, maria: Worker) -> None:
    annotation = maria.submit(site.task, 0, 2)
    skipped = maria.submit(site.task, 0, 0, was_cancelled=True)
    assert days(hire) == [(0, 1, 2)]
    maria(f"PATCH /api/annotations/{skipped}/", {"was_cancelled": False, "result": result(1)})
    assert days(hire) == [(0, 1, 3)]
    maria(f"PATCH /api/annotations/{annotation}/", {"was_cancelled": True})
    assert days(hire) == [(0, 1, 1)]
    maria(f"PATCH /api/annotations/{skipped}/", {"was_cancelled": True})
    assert days(hire) == []


def test_annotated_again_after_others_removed_it_is_one_task(
    site: Site, hire: Hire, maria: Worker, owner: Worker
) -> None:
    removed = maria.submit(site.task, 0, 2)
    owner(f"DELETE /api/annotations/{removed}/", status=204)
    again = maria.submit(site.task, 0, 2)
    assert days(hire) == [(0, 1, 4)]
    maria(f"DELETE /api/annotations/{again}/", status=204)
    assert days(hire) == [(0, 1, 2)], "what the owner removed stays done"


def test_duplicates_that_were_merged_are_taken_back_as_they_were_made(
    site: Site, hire: Hire, maria: Worker, owner: Worker
) -> None:
    """Label Studio moves their annotations to the task that is left."""
    model("tasks.Task").objects.filter(pk=site.second.pk).update(data=site.task.data)
    annotations = [maria.submit(task, 0, 1) for task in (site.task, site.second)]
    act(owner, "remove_duplicates", site.own)
    assert model("tasks.Annotation").objects.filter(pk__in=annotations).values("task").distinct().count() == 1
    assert days(hire) == [(0, 2, 2)]
    for annotation in annotations:
        maria(f"DELETE /api/annotations/{annotation}/", status=204)
    assert days(hire) == []


# Time -----------------------------------------------------------------------------------------


def test_no_more_than_the_time_since_the_hire(site: Site) -> None:
    hire = site.hire()
    site.opentrain.travel(minutes=3)
    Worker(site.user_of(hire)).submit(site.task, 80_000, 1)
    ((seconds, tasks, labels),) = days(hire)
    assert 180 <= seconds <= 190
    assert (tasks, labels) == (1, 1)


def test_an_idle_tab_is_half_an_hour(site: Site, hire: Hire, maria: Worker) -> None:
    site.opentrain.travel(hours=3)
    annotation = maria.submit(site.task, 3 * 3600, 1)
    site.opentrain.travel(hours=3)
    maria.update(annotation, 6 * 3600, 1)
    assert days(hire) == [(2 * LONGEST_ACTION.total_seconds(), 1, 1)]


@pytest.mark.parametrize(("claimed", "counted"), [(1e308, 1800), (-5, 0), (None, 0), (-1e308, 0), (0.4, 0)])
def test_any_lead_time_is_taken(
    site: Site, hire: Hire, maria: Worker, claimed: float | None, counted: int
) -> None:
    annotation = maria.submit(site.task, claimed, 1)
    assert days(hire) == [(counted, 1, 1)]
    site.opentrain.travel(minutes=10)
    maria.update(annotation, 20, 1)
    assert days(hire) == [(counted + 20, 1, 1)]


@pytest.mark.parametrize("claimed", ["nan", "-Infinity"])
def test_no_lead_time_keeps_a_skip_from_counting(site: Site, hire: Hire, maria: Worker, claimed: str) -> None:
    annotation = maria.submit(site.task, 100, 2)
    browser = browser_of(maria.user)
    browser.raise_request_exception = False  # Label Studio can't render its answer, and has saved it
    data = {"was_cancelled": True, "lead_time": claimed}
    browser.patch(f"/api/annotations/{annotation}/", data, content_type=JSON)
    assert model("tasks.Annotation").objects.get(pk=annotation).was_cancelled
    assert days(hire) == [(100, 0, 0)]


def test_an_edit_counts_on_its_day(site: Site, hire: Hire, maria: Worker) -> None:
    annotation = maria.submit(site.task, 100, 2)
    site.opentrain.travel(days=1)
    maria.update(annotation, 160, 5)
    assert days(hire) == [(100, 1, 2), (60, 0, 3)]


def test_what_is_skipped_is_time_and_no_task(site: Site, hire: Hire, maria: Worker) -> None:
    annotation = maria.submit(site.task, 40, 0, was_cancelled=True)
    assert days(hire) == [(40, 0, 0)]
    site.opentrain.travel(minutes=10)
    maria.update(annotation, 25, 2, was_cancelled=False)
    assert days(hire) == [(65, 1, 2)], "the submission's time replaces the skip's"
    site.opentrain.travel(minutes=10)
    maria.update(annotation, 35, 2, was_cancelled=True)
    assert days(hire) == [(75, 0, 0)], "skipped after all"
    site.opentrain.travel(minutes=10)
    maria.update(annotation, 5, 2, was_cancelled=False)
    assert days(hire) == [(80, 1, 2)]


def test_drafts_have_a_time_of_their_own(site: Site, hire: Hire, maria: Worker) -> None:
    draft = maria(f"POST /api/tasks/{site.task.pk}/drafts", {"lead_time": 40, "result": result(1)}, 201)["id"]
    site.opentrain.travel(minutes=10)
    maria(f"PATCH /api/drafts/{draft}/", {"lead_time": 55, "result": result(2)})
    assert days(hire) == [(55, 0, 0)]
    site.opentrain.travel(minutes=10)
    maria.submit(site.task, 5, 2, draft_id=draft)
    assert days(hire) == [(60, 1, 2)]


def test_a_draft_of_anothers_annotation_has_none_of_its_time(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker
) -> None:
    annotation = maria.submit(site.task, 500, 2)
    site.opentrain.travel(minutes=30)
    url = f"/api/tasks/{site.task.pk}/annotations/{annotation}/drafts"
    draft = joao(f"POST {url}", {"lead_time": 503, "result": result(2)}, 201)["id"]
    site.opentrain.travel(minutes=10)
    joao(f"PATCH /api/drafts/{draft}/", {"lead_time": 507, "result": result(2)})
    site.opentrain.travel(minutes=10)
    joao.update(annotation, 509, 2)
    assert days(hire) == [(500, 1, 2)]
    assert days(joao_hire) == [(13, 0, 0)]


# Bulk -----------------------------------------------------------------------------------------


def upload(owner: Worker, project: Any, tasks: Any) -> None:
    """As the import page does it."""
    file = SimpleUploadedFile("tasks.json", json.dumps(tasks).encode(), content_type=JSON)
    answer = browser_of(owner.user).post(f"/api/projects/{project.pk}/import", {"file": file})
    assert answer.status_code == 201, answer.content
    assert answer.json()["annotation_count"] > 0, answer.content


def test_what_is_imported_again_is_no_work(site: Site, hire: Hire, maria: Worker, owner: Worker) -> None:
    site.opentrain.link(str(site.other.pk))
    site.opentrain.run()
    maria.submit(site.task, 100, 2)
    exported = owner(f"GET /api/projects/{site.own.pk}/export?exportType=JSON")
    for project in (site.own, site.other):
        upload(owner, project, exported)
        by_trainer = {"completed_by": maria.user.pk, "lead_time": 900, "result": result(9)}
        upload(owner, project, [{"data": {"text": "Invoice 18"}, "annotations": [by_trainer]}])
    assert model("tasks.Annotation").objects.filter(completed_by=maria.user).count() > 2
    assert days(hire) == [(100, 1, 2)]


def test_the_first_edit_of_an_imported_annotation_is_only_the_edit(
    site: Site, hire: Hire, maria: Worker, owner: Worker
) -> None:
    done = {"completed_by": owner.user.pk, "lead_time": 900, "result": result(9)}
    upload(owner, site.own, [{"data": {"text": "Invoice 18"}, "annotations": [done]}])
    imported = model("tasks.Annotation").objects.order_by("pk").last()
    maria.update(imported.pk, 907, 10)
    assert days(hire) == [(7, 0, 1)]


def test_annotations_from_predictions_are_no_work(
    site: Site, hire: Hire, maria: Worker, owner: Worker
) -> None:
    model("tasks.Prediction").objects.create(task=site.task, project=site.own, result=result(3))
    act(owner, "predictions_to_annotations", site.own)
    assert model("tasks.Annotation").objects.filter(parent_prediction__isnull=False).exists()
    assert WorkEntry.objects.count() == 0
    assert days(hire) == []


def act(person: Worker, action: str, project: Any, **more: Any) -> None:
    """One of the data manager's actions, for all tasks."""
    data = {"selectedItems": {"all": True, "excluded": []}, **more}
    person(f"POST /api/dm/actions/?id={action}&project={project.pk}", data)


# Deletion -------------------------------------------------------------------------------------

#: Ways to delete a trainer's work, and whether Label Studio says of which annotations.
DELETIONS: Mapping[str, tuple[Callable[[Worker, Site, int], Any], bool]] = {
    "annotation": (lambda who, _site, pk: who(f"DELETE /api/annotations/{pk}/", status=204), True),
    "to draft": (
        lambda who, _site, pk: who(f"POST /api/annotations/{pk}/convert-to-draft", status=201),
        True,
    ),
    "annotations": (lambda who, site, _pk: act(who, "delete_tasks_annotations", site.own), True),
    "task": (lambda who, site, _pk: who(f"DELETE /api/tasks/{site.task.pk}/", status=204), False),
    "tasks": (lambda who, site, _pk: act(who, "delete_tasks", site.own), False),
    "all tasks": (
        lambda who, site, _pk: who(f"DELETE /api/projects/{site.own.pk}/tasks/", status=204),
        False,
    ),
    "duplicates": (lambda who, site, _pk: act(who, "remove_duplicates", site.own), False),
    "project": (lambda who, site, _pk: who(f"DELETE /api/projects/{site.own.pk}/", status=204), False),
}


@pytest.mark.parametrize("way", DELETIONS)
def test_what_others_delete_stays_done(
    site: Site, hire: Hire, maria: Worker, owner: Worker, way: str
) -> None:
    delete, is_told = DELETIONS[way]
    model("tasks.Task").objects.create(project=site.own, data=site.task.data)
    annotation = maria.submit(site.task, 100, 2)
    site.opentrain.travel(days=1)
    maria.submit(site.second, 50, 1)
    site.opentrain.travel(days=1)
    before = days(hire)
    delete(owner, site, annotation)
    assert before == [(100, 1, 2), (50, 1, 1)]
    assert days(hire) == before
    assert WorkEntry.objects.filter(kind=Kind.REMOVED).exists() == is_told


def test_what_a_trainer_deletes_is_taken_back(site: Site, hire: Hire, maria: Worker) -> None:
    """Tasks and labels, on the day of the deletion; the time was worked."""
    annotation = maria.submit(site.task, 100, 2)
    site.opentrain.travel(minutes=10)
    maria.submit(site.second, 50, 4)
    site.opentrain.travel(days=1)
    maria(f"DELETE /api/annotations/{annotation}/", status=204)
    maria.submit(site.task, 10, 3)
    assert days(hire) == [(150, 2, 6), (10, 0, 1)]
    assert WorkEntry.objects.filter(kind=Kind.REMOVED).count() == 0


def test_the_way_back_to_a_draft_and_again_is_one_task(site: Site, hire: Hire, maria: Worker) -> None:
    annotation = maria.submit(site.task, 100, 2)
    site.opentrain.travel(minutes=20)
    draft = maria(f"POST /api/annotations/{annotation}/convert-to-draft", status=201)
    assert days(hire) == [(100, 0, 0)], "the draft has the annotation's time, which is counted"
    maria(f"PATCH /api/drafts/{draft['id']}/", {"lead_time": 130, "result": result(3)})
    site.opentrain.travel(minutes=10)
    maria.submit(site.task, 5, 3, draft_id=draft["id"])
    assert days(hire) == [(135, 1, 3)]


def test_what_another_trainer_deletes_stays_done(
    site: Site, hire: Hire, maria: Worker, joao_hire: Hire, joao: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotation = maria.submit(site.task, 100, 2)
    joao(f"DELETE /api/annotations/{annotation}/", status=403)
    joao(f"POST /api/annotations/{annotation}/convert-to-draft", status=403)
    monkeypatch.setattr("django_opentrain.permissions.label_studio._is_trainer", lambda _user: False)
    joao(f"DELETE /api/annotations/{annotation}/", status=204)
    assert days(hire) == [(100, 1, 2)]
    assert days(joao_hire) == []


def test_an_id_that_is_used_again_is_another_object(site: Site, hire: Hire, maria: Worker) -> None:
    first = maria.submit(site.task, 100, 2)
    model("tasks.Annotation").objects.filter(pk=first)._raw_delete("default")
    with connection.cursor() as cursor:  # as a table without AUTOINCREMENT does it
        cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = 'task_completion'", [first - 1])
    site.opentrain.travel(minutes=10)
    second = maria.submit(site.second, 50, 2)
    assert first == second
    assert days(hire) == [(150, 2, 4)]


def test_deleting_a_project_ends_no_observation(site: Site, hire: Hire, maria: Worker, owner: Worker) -> None:
    """Label Studio disconnects all receivers for it, and django.dispatch remembers that there are none."""
    annotation = maria.submit(site.task, 100, 2)
    owner(f"DELETE /api/projects/{site.other.pk}/", status=204)
    maria(f"DELETE /api/annotations/{annotation}/", status=204)
    assert days(hire) == [(100, 0, 0)]
    site.opentrain.travel(minutes=10)
    with temporary_disconnect_all_signals():  # in another thread
        annotation = maria.submit(site.task, 30, 1)
        site.opentrain.travel(minutes=10)
        maria.update(annotation, 50, 2)
    assert days(hire) == [(150, 1, 2)]


# Contracts ------------------------------------------------------------------------------------


def test_each_second_is_in_one_of_two_contracts(site: Site, hire: Hire, maria: Worker) -> None:
    opentrain = site.opentrain
    maria.submit(site.task, 100, 2)
    opentrain.end(hire)
    opentrain.run()
    opentrain.travel(minutes=10)
    again = opentrain.hire(again=hire)
    opentrain.run()
    opentrain.travel(minutes=1)
    maria.user.refresh_from_db()
    maria.submit(site.second, 500, 3)
    first, second = days(hire), days(again)
    assert first == [(100, 1, 2)]
    ((seconds, tasks, labels),) = second
    assert 60 <= seconds <= 65
    assert (tasks, labels) == (1, 3)


# Cost -----------------------------------------------------------------------------------------


def ours(queries: CaptureQueriesContext) -> list[str]:
    """The statements on our tables; but those that find out whether a caller is a trainer."""
    statements = [query["sql"] for query in queries if "django_opentrain_workentry" in query["sql"]]
    assert all(statement.startswith("INSERT") for statement in statements)
    return statements


def test_each_save_costs_one_statement(site: Site, hire: Hire, maria: Worker) -> None:
    with CaptureQueriesContext(connection) as queries:
        annotation = maria.submit(site.task, 100, 2)
    assert len(ours(queries)) == 1
    with CaptureQueriesContext(connection) as queries:
        maria.update(annotation, 120, 3)
    assert len(ours(queries)) == 1
    url = f"POST /api/tasks/{site.task.pk}/drafts"
    with CaptureQueriesContext(connection) as queries:
        draft = maria(url, {"lead_time": 40, "result": result(1)}, 201)["id"]
    assert len(ours(queries)) == 1
    with CaptureQueriesContext(connection) as queries:
        maria(f"PATCH /api/drafts/{draft}/", {"lead_time": 50, "result": result(1)})
    assert len(ours(queries)) == 1
    for was_cancelled in (True, False):
        with CaptureQueriesContext(connection) as queries:
            maria(f"PATCH /api/annotations/{annotation}/", {"was_cancelled": was_cancelled})
        assert len(ours(queries)) == 1


@pytest.mark.parametrize("name", ["tasks.Annotation", "tasks.AnnotationDraft"])
def test_loading_fetches_nothing(site: Site, name: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert list(model(name).objects.only("id"))
    assert len(queries) == 1


def test_a_save_of_what_was_not_loaded_is_no_work(site: Site, hire: Hire, maria: Worker) -> None:
    annotation = maria.submit(site.task, 100, 2)
    before = WorkEntry.objects.count()
    loaded = model("tasks.Annotation").objects.defer("lead_time", "result").get(pk=annotation)
    loaded.ground_truth = True
    loaded.save()
    assert WorkEntry.objects.count() == before


def test_the_trainers_time_is_theirs_by_token_too(site: Site, hire: Hire, maria: Worker) -> None:
    """An API token is no session, and Label Studio signs its user in later."""
    for number, headers in enumerate(site.keys(maria.user, browser_of(maria.user)).values(), 1):
        site.opentrain.travel(minutes=1)
        data = {"lead_time": 30, "result": result(1)}
        answer = site.anonymous.post(
            f"/api/tasks/{another_task(site).pk}/annotations/", data, content_type=JSON, headers=headers
        )
        assert answer.status_code == 201, answer.content
        assert days(hire) == [(30 * number, number, number)]
