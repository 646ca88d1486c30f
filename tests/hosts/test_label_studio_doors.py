"""What a trainer may do inside Label Studio: label in the projects that were opened for them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.test import Client

from django_opentrain.adapters.label_studio import model
from django_opentrain.services.access import bindings
from django_opentrain.testing.kit import OpenTrain

if not apps.is_installed("organizations"):
    pytest.skip("not inside Label Studio: run tox -e label-studio", allow_module_level=True)

from django_opentrain.permissions.label_studio import OPEN, _is_trainer
from tests.hosts.studio import Site

pytestmark = pytest.mark.django_db
JSON = "application/json"
#: What is refused: not permitted, or not found.
REFUSED = {403, 404}


@dataclass
class Caller:
    """A user with one kind of credentials."""

    browser: Client
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, call: str, data: Any = None) -> Any:
        method, url = call.split(" ", 1)
        body = {} if method == "GET" else {"data": data or {}, "content_type": JSON}
        return getattr(self.browser, method.lower())(url, headers=self.headers, **body)


@pytest.fixture
def site(opentrain: OpenTrain) -> Site:
    return Site(opentrain)


@pytest.fixture(params=["session", "legacy token", "JWT"])
def trainer(request: pytest.FixtureRequest, site: Site) -> Caller:
    maria = site.hire()
    return caller(site, site.user_of(maria), request.param)


def caller(site: Site, user: Any, kind: str = "session") -> Caller:
    browser = site.browser_of(user)
    if kind == "session":
        return Caller(browser)
    return Caller(Client(), site.keys(user, browser)[kind])


#: In the project that was opened for the trainer.
CLOSED: dict[str, Any] = {
    "POST /api/projects/{own}/import": [{"text": "Invoice 18"}],
    "POST /api/projects/{own}/reimport": {"file_upload_ids": []},
    "POST /api/projects/{own}/import/predictions": [{"task": "{task}", "result": []}],
    "POST /api/projects/{own}/tasks/bulk/": [{"text": "Invoice 18"}],
    "GET /api/projects/{own}/file-uploads": None,
    "DELETE /api/projects/{own}/file-uploads": {"file_upload_ids": []},
    "POST /api/projects/{own}/tasks/": {"data": {"text": "Invoice 18"}},
    "DELETE /api/projects/{own}/tasks/": None,
    "POST /api/tasks/": {"project": "{own}", "data": {"text": "Invoice 18"}},
    "PATCH /api/tasks/{task}/": {"data": {"text": "Invoice 19"}},
    "DELETE /api/tasks/{task}/": None,
    "POST /api/projects/": {"title": "A project of mine"},
    "PATCH /api/projects/{own}/": {"title": "Mine"},
    "PUT /api/projects/{own}/": {"title": "Mine"},
    "DELETE /api/projects/{own}/": None,
    "POST /api/projects/{own}/validate/": {"label_config": "<View/>"},
    "POST /api/projects/{own}/summary/reset/": None,
    "DELETE /api/projects/{own}/model-versions/": {"model_version": "one"},
    "GET /api/projects/{own}/export": None,
    "GET /api/projects/{own}/export/files": None,
    "GET /api/projects/{own}/exports/": None,
    "POST /api/projects/{own}/exports/": {"title": "all of it"},
    "GET /api/invite": None,
    "POST /api/invite/reset-token": None,
    "GET /api/organizations/": None,
    "POST /api/organizations/": {"title": "Another"},
    "GET /api/organizations/{organization}": None,
    "PATCH /api/organizations/{organization}": {"title": "Mine"},
    "GET /api/organizations/{organization}/memberships": None,
    "DELETE /api/organizations/{organization}/memberships/{member}/": None,
    "GET /api/users/": None,
    "POST /api/users/": {"email": "guest@site.example", "username": "guest"},
    "GET /api/users/{member}/": None,
    "PATCH /api/users/{member}/": {"first_name": "X"},
    "DELETE /api/users/{member}/": None,
    "GET /api/webhooks/": None,
    "GET /api/webhooks/?project={own}": None,
    "POST /api/webhooks/": {"url": "https://maria.example/hook", "project": "{own}"},
    "PATCH /api/webhooks/{webhook}/": {"url": "https://maria.example/hook"},
    "DELETE /api/webhooks/{webhook}/": None,
    "GET /api/storages/?project={own}": None,
    "POST /api/storages/s3/": {"project": "{own}", "bucket": "b"},
    "POST /api/storages/s3/validate": {"project": "{own}", "bucket": "b"},
    "POST /api/storages/export/redis": {"project": "{own}", "host": "localhost"},
    "POST /api/ml/": {"project": "{own}", "url": "http://localhost:9090"},
    "POST /api/labels/": [{"value": ["a"], "title": "a", "from_name": "kind", "project": "{own}"}],
    "GET /api/label_links/": None,
    "GET /api/predictions/": None,
    "POST /api/predictions/": {"task": "{task}", "result": []},
    "POST /api/dm/actions/?id=delete_tasks&project={own}": {"selectedItems": {"all": True, "excluded": []}},
    "POST /api/dm/actions/?id=delete_tasks_annotations&project={own}": {
        "selectedItems": {"all": True, "excluded": []}
    },
    "POST /api/dm/actions/?id=predictions_to_annotations&project={own}": {
        "selectedItems": {"all": True, "excluded": []}
    },
    "DELETE /api/dm/views/{tab}/": None,
    "DELETE /api/dm/views/reset/?project={own}": None,
    "POST /api/dm/views/order/": {"project": "{own}", "ids": ["{tab}"]},
    "POST /api/jwt/settings": {"api_tokens_enabled": False},
    "PATCH /api/session-policy/": {"max_session_age": 5},
    "GET /api/unknown/": None,
}
#: In a project that was not.
ELSEWHERE: dict[str, Any] = {
    "GET /api/projects/{other}/": None,
    "GET /api/projects/{other}/next/": None,
    "GET /api/projects/{other}/summary/": None,
    "GET /api/projects/{other}/tasks/": None,
    "GET /api/projects/{other}/label-stream-history/": None,
    "GET /api/projects/{other}/annotators/": None,
    "POST /api/projects/{other}/import": [{"text": "Invoice 18"}],
    "GET /api/projects/{other}/export": None,
    "DELETE /api/projects/{other}/": None,
    "GET /api/tasks/?project={other}": None,
    "GET /api/tasks/?view={other_tab}": None,
    "GET /api/tasks/?project={own}&project={other}": None,
    "GET /api/tasks/{other_task}/": None,
    "GET /api/tasks/{other_task}/agreement/": None,
    "GET /api/tasks/{other_task}/annotations/": None,
    "POST /api/tasks/{other_task}/annotations/": {"result": []},
    "GET /api/tasks/{other_task}/drafts": None,
    "POST /api/tasks/{other_task}/drafts": {"result": []},
    "GET /api/tasks/{other_task}/annotations/{other_annotation}/drafts": None,
    "GET /api/annotations/{other_annotation}/": None,
    "PATCH /api/annotations/{other_annotation}/": {"result": []},
    "DELETE /api/annotations/{other_annotation}/": None,
    "POST /api/annotations/{other_annotation}/convert-to-draft": None,
    "GET /api/drafts/{other_draft}/": None,
    "PATCH /api/drafts/{other_draft}/": {"result": []},
    "PATCH /api/annotations/{annotation}/": {"project": "{other}"},
    "PUT /api/annotations/{annotation}/": {"task": "{other_task}"},
    "PATCH /api/drafts/{draft}/": {"task": "{other_task}"},
    "GET /api/dm/columns/?project={other}": None,
    "GET /api/dm/project/?project={other}": None,
    "GET /api/dm/actions/?project={other}": None,
    "POST /api/dm/actions/?id=next_task&project={other}": None,
    "GET /api/dm/views/": None,
    "GET /api/dm/views/?project={other}": None,
    "GET /api/dm/views/?view={tab}": None,
    "POST /api/dm/views/": {"project": "{other}", "data": {}},
    "GET /api/dm/views/{other_tab}/": None,
    "PATCH /api/dm/views/{tab}/": {"project": "{other}", "data": {}},
    "GET /api/ml/?project={other}": None,
    "GET /projects/{other}/resolve/?fileuri=czM6Ly9iL2E=": None,
    "GET /tasks/{other_task}/resolve/?fileuri=czM6Ly9iL2E=": None,
}
#: In the project that was opened for the trainer: whose work it is, and on which task. All of it is the owner's.
OTHERS: list[tuple[str, Any]] = [
    ("PATCH /api/annotations/{annotation}/", {"completed_by": "{trainer}"}),
    ("PATCH /api/annotations/{annotation}?project={own}", {"completed_by": "{member}", "lead_time": 9}),
    ("PUT /api/annotations/{annotation}/", {"result": [], "completed_by": "{trainer}"}),
    ("PATCH /api/annotations/{annotation}/", {"task": "{second}"}),
    ("PUT /api/annotations/{annotation}/", {"task": None}),
    ("PATCH /api/annotations/{annotation}/", {"project": None}),
    ("DELETE /api/annotations/{annotation}/", None),
    ("POST /api/annotations/{annotation}/convert-to-draft", None),
    ("POST /api/tasks/{task}/annotations/", {"result": [], "completed_by": "{member}"}),
    ("POST /api/tasks/{task}/annotations", {"result": [], "task": "{second}"}),
    ("POST /api/tasks/{task}/annotations/?project={own}", {"result": [], "project": None}),
    ("POST /api/tasks/{task}/drafts", {"result": [], "user": "{member}"}),
    ("PATCH /api/drafts/{draft}/", {"user": "{trainer}"}),
    ("PUT /api/drafts/{draft}/", {"result": [], "task": "{second}"}),
    ("PATCH /api/drafts/{draft}/", {"annotation": "{annotation}"}),
    ("DELETE /api/drafts/{draft}/", None),
]
CALLS = [*CLOSED.items(), *ELSEWHERE.items(), *OTHERS]
#: What labelling takes.
LABELLING = {
    "GET /api/projects/": 200,
    "GET /api/projects/counts/": 200,
    "GET /api/projects/{own}/": 200,
    "GET /api/projects/{own}/next/": 200,
    "GET /api/projects/{own}/label-stream-history/": 200,
    "GET /api/projects/{own}/summary/": 200,
    "GET /api/projects/{own}/model-versions/": 200,
    "GET /api/projects/{own}/annotators/": 200,
    "GET /api/dm/columns/?project={own}": 200,
    "GET /api/dm/project/?project={own}": 200,
    "GET /api/dm/actions/?project={own}": 200,
    "POST /api/dm/actions/?id=next_task&project={own}": 200,
    "GET /api/dm/views/?project={own}": 200,
    "GET /api/dm/views/{tab}/?project={own}": 200,
    "PATCH /api/dm/views/{tab}/?project={own}": 200,
    "GET /api/tasks/?project={own}&view={tab}": 200,
    "GET /api/tasks/{task}/?project={own}": 200,
    "GET /api/tasks/{task}/annotations/": 200,
    "GET /api/tasks/{task}/drafts": 200,
    "GET /api/annotations/{annotation}/": 200,
    "GET /api/ml/?project={own}": 200,
    "GET /api/current-user/whoami": 200,
    "GET /api/current-user/hotkeys/": 200,
    "GET /api/current-user/token": 200,
    "GET /api/token/": 200,
    "GET /api/users/{trainer}/": 200,
    "PATCH /api/users/{trainer}/": 200,
    "GET /api/version/": 200,
}


def test_it_is_closed_to_trainers(site: Site, trainer: Caller) -> None:
    before = site.rows()
    for call, data in CALLS:
        response = trainer(site.fill(call), site.fill(data))
        assert response.status_code in REFUSED, (call, response.content)
        assert site.rows() == before, call


@pytest.mark.parametrize("role", ["owner", "member"])
def test_others_lose_nothing(role: str, site: Site) -> None:
    """The same answers as without our settings."""
    site.hire()
    user = caller(site, getattr(site, role))
    for call, data in CALLS:
        answers = set()
        for trainer in (_is_trainer, lambda _user: False):
            with mock.patch("django_opentrain.permissions.label_studio._is_trainer", trainer):
                answers.add(site.undone(lambda: user(site.fill(call), site.fill(data))))  # noqa: B023 - called at once
        assert len(answers) == 1, (call, answers)


def test_labelling_is_open(site: Site, trainer: Caller) -> None:
    for call, status in LABELLING.items():
        response = trainer(site.fill(call), {"data": {}} if "views" in call else {})
        assert response.status_code == status, (call, response.content)


def test_a_projects_page_opens(site: Site) -> None:
    maria = caller(site, site.user_of(site.hire()))
    assert maria(site.fill("GET /projects/{own}/data/")).status_code == 200


def test_a_trainer_labels(site: Site, trainer: Caller) -> None:
    """Draft, submission, edit, the way back to a draft, skipping, deletion."""
    draft = trainer(site.fill("POST /api/tasks/{task}/drafts"), {"result": [], "lead_time": 5})
    assert draft.status_code == 201, draft.content
    number = draft.json()["id"]
    assert trainer(f"PATCH /api/drafts/{number}/", {"result": [], "lead_time": 6}).status_code == 200
    annotation = {"result": [], "lead_time": 7, "draft_id": number, "project": site.own.pk}
    submitted = trainer(site.fill("POST /api/tasks/{task}/annotations/?project={own}"), annotation)
    assert submitted.status_code == 201, submitted.content
    number = submitted.json()["id"]
    edited = trainer(f"PATCH /api/annotations/{number}/", {"result": [], "task": site.task.pk})
    assert edited.status_code == 200, edited.content
    assert trainer(f"POST /api/annotations/{number}/convert-to-draft").status_code == 201
    skipped = trainer(site.fill("POST /api/tasks/{task}/annotations/?was_cancelled=1"), {"result": []})
    assert skipped.status_code == 201, skipped.content
    assert trainer(f"DELETE /api/annotations/{skipped.json()['id']}/").status_code == 204


def test_what_stands_may_be_named(site: Site, trainer: Caller) -> None:
    """Clients may send back what they were sent."""
    named = {"result": [], "project": site.own.pk, "task": site.task.pk, "completed_by": site.trainer.pk}
    submitted = trainer(site.fill("POST /api/tasks/{task}/annotations/"), named)
    assert submitted.status_code == 201, submitted.content
    url = f"/api/annotations/{submitted.json()['id']}/"
    assert trainer(f"PUT {url}", {**named, "completed_by": str(site.trainer.pk)}).status_code == 200
    url = site.fill("PATCH /api/annotations/{annotation}/")
    assert trainer(url, {**named, "completed_by": site.owner.pk}).status_code == 200, "a correction"


def test_a_form_changes_no_author_either(site: Site, trainer: Caller) -> None:
    url = site.fill("/api/tasks/{task}/annotations/")
    for authors in ([site.member.pk], [site.trainer.pk, site.member.pk]):
        data = {"result": "[]", "completed_by": authors}
        response = trainer.browser.post(url, data, headers=trainer.headers)
        assert response.status_code == 403, response.content
    response = trainer.browser.post(url, {**data, "completed_by": [site.trainer.pk]}, headers=trainer.headers)
    assert response.status_code == 201, response.content


def test_a_trainer_sees_their_projects_in_lists(site: Site, trainer: Caller) -> None:
    for url in ("/api/projects/", "/api/projects/counts/"):
        listed = trainer(f"GET {url}").json()["results"]
        assert [project["id"] for project in listed] == [site.own.pk]
    assert len(caller(site, site.member)("GET /api/projects/").json()["results"]) == 2


def test_urls_without_their_last_slash_are_the_same(site: Site, trainer: Caller) -> None:
    """Label Studio answers them itself, in a second round through all middleware; its pages call most without."""
    assert trainer("GET /api/webhooks").status_code == 403
    assert trainer("POST /api/users", {"email": "guest@site.example"}).status_code == 403
    assert trainer(site.fill("GET /api/projects/{other}")).status_code == 403
    assert trainer(site.fill("GET /api/projects/{own}")).status_code == 200
    assert [project["id"] for project in trainer("GET /api/projects").json()["results"]] == [site.own.pk]


def test_a_trainer_sees_no_actions_that_are_closed(site: Site, trainer: Caller) -> None:
    assert trainer(site.fill("GET /api/dm/actions/?project={own}")).json() == []
    assert caller(site, site.owner)(site.fill("GET /api/dm/actions/?project={own}")).json() != []


def test_a_members_session_opens_nothing_for_a_trainers_token(site: Site) -> None:
    maria = site.user_of(site.hire())
    headers = site.keys(maria, site.browser_of(maria))["legacy token"]
    both = Caller(site.browser_of(site.member), headers)
    assert both(site.fill("POST /api/projects/{own}/import"), [{"text": "x"}]).status_code == 403
    assert both("GET /api/webhooks/").status_code == 403


def test_an_owner_who_was_hired_keeps_all(site: Site) -> None:
    site.owner.email = "maria.s@opentrain.work"
    site.owner.save()
    maria = site.hire(work_email="maria.s@opentrain.work")
    bindings.bind(maria.grant, "operator")
    site.opentrain.run()
    owner = caller(site, site.owner)
    assert owner(site.fill("GET /api/projects/{other}/")).status_code == 200
    assert owner("GET /api/webhooks/").status_code == 200


def test_a_member_who_was_hired_is_one_again_once_invited_after_the_contract(site: Site) -> None:
    site.member.email = "maria.s@opentrain.work"
    site.member.save()
    maria = site.hire(work_email="maria.s@opentrain.work")
    bindings.bind(maria.grant, "operator")
    site.opentrain.run()
    assert caller(site, site.member)(site.fill("GET /api/projects/{other}/")).status_code == 403
    site.opentrain.end(maria)
    site.opentrain.run()
    model("organizations.OrganizationMember").objects.filter(user=site.member).update(deleted_at=None)
    site.member.refresh_from_db()
    site.member.active_organization = site.organization
    site.member.save()
    assert caller(site, site.member)(site.fill("GET /api/projects/{other}/")).status_code == 200


def test_each_name_is_one_of_label_studios_urls() -> None:
    """One that was renamed would be closed."""
    assert set(OPEN) - set(named_urls()) == set()


def named_urls() -> set[str]:
    from django.urls import get_resolver
    from django.urls.resolvers import URLResolver

    names: set[str] = set()

    def collect(resolver: Any, prefix: str) -> None:
        for each in resolver.url_patterns:
            if isinstance(each, URLResolver):
                collect(each, f"{prefix}{each.namespace}:" if each.namespace else prefix)
            elif each.name:
                names.add(f"{prefix}{each.name}")

    collect(get_resolver(), "")
    return names
