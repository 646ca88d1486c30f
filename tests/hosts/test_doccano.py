"""The kit's checks inside doccano, with the settings, URLs and adapter that docs/how-to/doccano.md names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from django_opentrain.adapters.doccano import model
from django_opentrain.models import AccessGrant, Contract, DailyUsage, WorkEntry
from django_opentrain.services import linking, usage
from django_opentrain.services.access import bindings
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.hosts.checks import HostChecks

if not apps.is_installed("examples"):
    pytest.skip("not inside doccano: run tox -e doccano", allow_module_level=True)


def make_project(administrator: User, name: str) -> Any:
    """A project as its page makes it."""
    project = model("projects.TextClassificationProject").objects.create(
        name=name, created_by=administrator, project_type="DocumentClassification"
    )
    project.add_admin()
    return project


class TestDoccano(HostChecks):
    totals = ("tasks_completed", "labels_completed")

    @pytest.fixture(autouse=True)
    def _projects(self, db: None) -> None:
        call_command("create_roles")
        self.manager, other = (User.objects.create(username=name) for name in ("acme", "globex"))
        self.stranger = User.objects.create(username="reader")
        self.tenant, self.other_tenant = str(self.manager.pk), str(other.pk)
        self.project_id = str(make_project(self.manager, "Invoices").pk)
        self.other_project_id = str(make_project(self.manager, "Street signs").pk)
        make_project(other, "Letters")

    def sign_in(self, email: str, password: str) -> Client:
        browser = Client()
        browser.post("/v1/auth/login/", {"username": email, "password": password})
        return browser

    def opens(self, client: Client, project_id: str, **headers: str) -> bool:
        # The page is the same for everybody; its content comes from here.
        return client.get(f"/v1/projects/{project_id}/examples", headers=headers).status_code == 200

    def keys(self, user: Any, browser: Client) -> Mapping[str, Mapping[str, str]]:
        token = model("authtoken.Token").objects.get(user=user).key
        return {"token": {"Authorization": f"Token {token}"}}

    def remove_by_hand(self, grant: AccessGrant) -> None:
        role = model("projects.Member").objects.get(
            project=grant.external_project_id, user=grant.host_user_ref
        )
        url = f"/v1/projects/{grant.external_project_id}/members"
        removed = self.browser_of(self.manager).delete(url, {"ids": [role.pk]}, "application/json")
        assert removed.status_code == 204

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        project = model("projects.Project").objects.get(pk=grant.external_project_id)
        browser = self.browser_of(User.objects.get(pk=grant.host_user_ref))
        for number in range(tasks):
            example = project.examples.create(text="Invoice 17")
            path = f"/v1/projects/{project.pk}/examples/{example.pk}"
            # All of the labels are on the first one.
            for label in range(labels if number == 0 else 0):
                kind, _ = project.categorytype_set.get_or_create(text=f"kind {label}")
                labelled = browser.post(f"{path}/categories", {"label": kind.pk}, "application/json")
                assert labelled.status_code == 201, labelled.content
            assert browser.post(f"{path}/states").status_code == 201

    def test_a_user_name_is_in_lower_case(self, linked: OpenTrain) -> None:
        maria = linked.hire(work_email="Maria.S@opentrain.work")
        linked.run()
        user = User.objects.get(pk=maria.grant.host_user_ref)
        assert user.username == "maria.s@opentrain.work"
        assert user.email == "Maria.S@opentrain.work"

    def test_an_administrator_who_was_hired_keeps_the_project(self, linked: OpenTrain) -> None:
        """Their role is not what the contract gave."""
        self.manager.email = "maria.s@opentrain.work"
        self.manager.save()
        maria = linked.hire(work_email="maria.s@opentrain.work")
        linked.run()
        assert maria.grant.account_exists
        bindings.bind(maria.grant, "operator")
        linked.run()
        assert maria.grant.host_user_ref == self.tenant
        linked.end(maria)
        linked.run()
        assert self.opens(self.browser_of(self.manager), self.project_id)

    def test_a_pause_closes_session_and_token_and_keeps_the_work(self, linked: OpenTrain) -> None:
        """Nothing has to be set up again when work goes on."""
        maria = linked.hire()
        linked.run()
        self.do_work(maria.grant, linked.now, seconds=0, tasks=1, labels=2)
        linked.run()  # what is reported is answered with the budget
        user = User.objects.get(pk=maria.grant.host_user_ref)
        browser = self.browser_of(user)
        model("authtoken.Token").objects.create(user=user)  # as the login does it
        token = self.keys(user, browser)["token"]
        Contract.objects.update(budget_state=Contract.BudgetState.DEPLETED)
        for stopped in (True, False):
            linking.configure(maria.grant.link, stop_when_depleted=stopped)
            linked.run()
            assert self.opens(browser, self.project_id) is not stopped
            assert self.opens(Client(), self.project_id, **token) is not stopped
            assert model("labels.Category").objects.filter(user=user).count() == 2


KINDS = WorkEntry.Kind


class TestWork:
    """What counts of what trainers, reviewers and owners do in doccano, by its own requests."""

    @pytest.fixture(autouse=True)
    def _site(self, opentrain: OpenTrain) -> None:
        call_command("create_roles")
        self.opentrain = opentrain
        self.owner = User.objects.create(username="acme")
        self.project = make_project(self.owner, "Invoices")
        self.path = f"/v1/projects/{self.project.pk}"
        self.reviewer = User.objects.create(username="reviewer")
        approver = model("roles.Role").objects.get(name="annotation_approver")
        model("projects.Member").objects.create(user=self.reviewer, project=self.project, role=approver)
        opentrain.connect(str(self.owner.pk))
        opentrain.link(str(self.project.pk))
        self.maria = self.hired("Maria S.")
        self.example = self.project.examples.create(text="Invoice 17")
        self.kind = self.project.categorytype_set.create(text="paid")

    def hired(self, name: str, **details: Any) -> Hire:
        hire = self.opentrain.hire(name, **details)
        self.opentrain.run()
        self.opentrain.travel(minutes=5)
        return hire

    def shared(self, **settings: Any) -> None:
        """Everybody works on the same labels and confirmations."""
        changed = {"collaborative_annotation": True, **settings}
        model("projects.Project").objects.filter(pk=self.project.pk).update(**changed)

    def call(self, who: Any, method: str, path: str, data: Any = None) -> Any:
        user = User.objects.get(pk=who.grant.host_user_ref) if isinstance(who, Hire) else who
        browser = Client()
        browser.force_login(user)
        answer = getattr(browser, method)(f"{self.path}/{path}", data, content_type="application/json")
        assert answer.status_code < 300, answer.content
        return answer

    def press(self, who: Any, example: Any = None) -> None:
        """doccano's button for a finished example."""
        self.call(who, "post", f"examples/{(example or self.example).pk}/states")

    def label(self, who: Any, text: str = "paid") -> int:
        kind, _ = self.project.categorytype_set.get_or_create(text=text)
        path = f"examples/{self.example.pk}/categories"
        return int(self.call(who, "post", path, {"label": kind.pk}).json()["id"])

    def totals(self, hire: Hire) -> list[tuple[int, int]]:
        usage.collect(hire.contract)
        rows = DailyUsage.objects.filter(contract=hire.contract).order_by("work_date")
        days = [(row.tasks_completed or 0, row.labels_completed or 0) for row in rows]
        return [day for day in days if any(day)]

    def kinds(self) -> list[str]:
        return list(WorkEntry.objects.order_by("pk").values_list("kind", flat=True))

    def test_a_confirmation_counts_once(self) -> None:
        self.press(self.maria)
        assert self.totals(self.maria) == [(1, 0)]
        self.press(self.maria)
        assert self.totals(self.maria) == []
        self.press(self.maria)
        assert self.totals(self.maria) == [(1, 0)]
        assert self.kinds() == [KINDS.CONFIRMED, KINDS.UNCONFIRMED, KINDS.CONFIRMED]

    @pytest.mark.parametrize("with_token", [False, True])
    def test_the_one_who_acts_is_known_by_session_and_by_token(self, with_token: bool) -> None:
        user = User.objects.get(pk=self.maria.grant.host_user_ref)
        browser = Client()
        headers = {}
        if with_token:
            token, _ = model("authtoken.Token").objects.get_or_create(user=user)
            headers = {"Authorization": f"Token {token.key}"}
        else:
            browser.force_login(user)
        answer = browser.post(f"{self.path}/examples/{self.example.pk}/states", headers=headers)
        assert answer.status_code == 201
        assert self.totals(self.maria) == [(1, 0)]

    def test_a_reviewer_who_checks_changes_nothing(self) -> None:
        self.shared()
        self.press(self.maria)
        self.press(self.reviewer)
        assert not model("examples.ExampleState").objects.exists()
        self.press(self.reviewer)
        assert self.totals(self.maria) == [(1, 0)]
        assert self.kinds() == [KINDS.CONFIRMED, KINDS.REMOVED]
        self.press(self.maria)
        self.press(self.maria)
        assert self.totals(self.maria) == [(1, 0)], "confirmed again, it is the same task"

    def test_another_trainer_takes_nothing_away(self) -> None:
        self.shared()
        joao = self.hired("João P.")
        self.press(self.maria)
        self.press(joao)
        assert (self.totals(self.maria), self.totals(joao)) == ([(1, 0)], [])
        first = self.label(self.maria)
        self.call(joao, "delete", f"examples/{self.example.pk}/categories/{first}")
        assert (self.totals(self.maria), self.totals(joao)) == ([(1, 1)], [])
        assert self.kinds() == [KINDS.CONFIRMED, KINDS.REMOVED, KINDS.UPDATED, KINDS.REMOVED]

    def test_trainers_who_replace_each_others_labels_gain_nothing(self) -> None:
        """There is one label in the end, and it counts once."""
        self.shared()
        joao = self.hired("João P.")
        number = self.label(self.maria)
        for other in (joao, self.maria, joao):
            self.call(other, "delete", f"examples/{self.example.pk}/categories/{number}")
            number = self.label(other)
        self.label(joao, "unpaid")
        assert (self.totals(self.maria), self.totals(joao)) == ([(0, 1)], [(0, 1)])
        self.call(joao, "delete", f"examples/{self.example.pk}/categories/{number}")
        self.label(joao)
        assert (self.totals(self.maria), self.totals(joao)) == ([(0, 1)], [(0, 1)])

    def test_labels_of_every_kind_count_and_are_taken_back(self) -> None:
        span_type, relation_type = (
            model(f"label_types.{name}").objects.create(text="x", project=self.project)
            for name in ("SpanType", "RelationType")
        )
        here = f"examples/{self.example.pk}"
        box = {"x": 1, "y": 1, "width": 2, "height": 2, "label": self.kind.pk}
        spans = [
            {"start_offset": begin, "end_offset": begin + 2, "label": span_type.pk, "prob": 0}
            for begin in (0, 4)
        ]
        self.label(self.maria)
        ids = [self.call(self.maria, "post", f"{here}/spans", span).json()["id"] for span in spans]
        relation = {"from_id": ids[0], "to_id": ids[1], "type": relation_type.pk}
        for path, data in (
            ("relations", relation),
            ("bboxes", box),
            ("segments", {"points": [1, 1, 2, 2], "label": self.kind.pk}),
            ("texts", {"text": "a summary"}),
        ):
            self.call(self.maria, "post", f"{here}/{path}", data)
        assert self.totals(self.maria) == [(0, 7)]
        self.call(self.maria, "patch", f"{here}/spans/{ids[0]}", {"end_offset": 3})
        assert self.totals(self.maria) == [(0, 7)]
        self.call(self.maria, "delete", f"{here}/spans/{ids[0]}")
        assert self.totals(self.maria) == [(0, 5)], "with the span, its relation"
        for path in ("spans", "categories", "bboxes", "segments", "texts"):
            self.call(self.maria, "delete", f"{here}/{path}")
        assert self.totals(self.maria) == []

    def test_a_label_chosen_instead_of_another_is_one(self) -> None:
        self.shared(collaborative_annotation=False, single_class_classification=True)
        self.label(self.maria)
        self.label(self.maria, "unpaid")
        assert self.totals(self.maria) == [(0, 1)]

    def test_what_is_taken_back_comes_off_the_day_on_which_it_is(self) -> None:
        self.press(self.maria)
        number = self.label(self.maria)
        self.opentrain.travel(days=1)
        self.call(self.maria, "delete", f"examples/{self.example.pk}/categories/{number}")
        self.label(self.maria)
        self.label(self.maria, "unpaid")
        assert self.totals(self.maria) == [(1, 1), (0, 1)]

    @pytest.mark.parametrize("what", ["labels", "example", "examples", "everything", "label type", "project"])
    def test_what_the_owner_deletes_changes_nothing(self, what: str) -> None:
        self.shared()
        other = self.project.examples.create(text="Invoice 18")
        self.press(self.maria)
        self.press(self.maria, other)
        self.label(self.maria)
        before = self.kinds()
        if what == "labels":
            self.call(self.owner, "delete", f"examples/{self.example.pk}/categories")
        elif what == "example":
            self.call(self.owner, "delete", f"examples/{self.example.pk}")
        elif what == "examples":
            self.call(self.owner, "delete", "examples", {"ids": [self.example.pk, other.pk]})
        elif what == "everything":
            self.call(self.owner, "delete", "examples", {"ids": []})
        elif what == "label type":
            self.call(self.owner, "delete", f"category-types/{self.kind.pk}")
        else:
            browser = Client()
            browser.force_login(self.owner)
            assert browser.delete(self.path).status_code == 204
        assert self.totals(self.maria) == [(2, 1)]
        removals = {"examples": 2, "everything": 2, "label type": 0}.get(what, 1)
        assert self.kinds()[len(before) :] == [KINDS.REMOVED] * removals

    def test_many_examples_are_deleted_with_one_statement_of_ours(
        self, django_assert_max_num_queries: Any
    ) -> None:
        self.press(self.maria)
        for number in range(40):
            self.project.examples.create(text=f"Invoice {number}")
        browser = Client()
        browser.force_login(self.owner)
        with django_assert_max_num_queries(40) as queries:
            browser.delete(f"{self.path}/examples", {"ids": []}, content_type="application/json")
        ours = [query["sql"] for query in queries if "INSERT INTO" in query["sql"]]
        assert len(ours) == 1

    def test_an_example_whose_id_is_used_again_is_another(self) -> None:
        self.press(self.maria)
        number = self.example.pk
        self.call(self.owner, "delete", f"examples/{number}")
        self.example = self.project.examples.create(pk=number, text="Invoice 18")
        self.press(self.maria)
        assert self.totals(self.maria) == [(2, 0)]

    def test_imported_and_automatic_labels_are_no_work(self) -> None:
        """They are saved in bulk, under the trainer's name, and may be deleted without a loss."""
        user = User.objects.get(pk=self.maria.grant.host_user_ref)
        category = model("labels.Category")
        category.objects.bulk_create([category(example=self.example, label=self.kind, user=user)])
        self.label(self.maria, "unpaid")
        assert self.totals(self.maria) == [(0, 1)]
        self.call(
            self.maria, "delete", f"examples/{self.example.pk}/categories/{category.objects.first().pk}"
        )
        assert self.totals(self.maria) == [(0, 1)]

    def test_what_no_request_does_is_no_work(self) -> None:
        user = User.objects.get(pk=self.maria.grant.host_user_ref)
        state = model("examples.ExampleState").objects.create(example=self.example, confirmed_by=user)
        model("labels.Category").objects.create(example=self.example, label=self.kind, user=user)
        state.delete()
        assert self.totals(self.maria) == []
        assert self.kinds() == []

    def test_people_who_are_no_trainers_leave_no_trace(self) -> None:
        for user in (self.owner, self.reviewer):
            self.press(user)
            self.label(user)
        assert self.kinds() == []

    def test_hired_again_on_a_day_each_contract_has_its_own(self) -> None:
        self.press(self.maria)
        self.opentrain.end(self.maria)
        self.opentrain.run()
        self.opentrain.travel(minutes=10)
        again = self.hired("Maria S.", again=self.maria)
        other = self.project.examples.create(text="Invoice 18")
        self.press(again, other)
        self.label(again)
        assert (self.totals(self.maria), self.totals(again)) == ([(1, 0)], [(1, 1)])

    def test_the_timer_measures_in_a_projects_pages(self) -> None:
        user = User.objects.get(pk=self.maria.grant.host_user_ref)
        browser = Client()
        browser.force_login(user)
        page = f"/projects/{self.project.pk}/text-classification"
        assert b"timer.js" in browser.get(page).content
        timer = "/opentrain/timer/"
        assert browser.get(timer, {"path": "/projects"}).json() == {"project": None}
        begun = browser.get(timer, {"path": page}).json()
        assert begun["project"] == str(self.project.pk)
        in_german = browser.get(timer, {"path": f"/de{page}"}).json()
        assert in_german["project"] == str(self.project.pk)
        self.opentrain.travel(minutes=2)
        data = {
            "project": begun["project"],
            "ticket": begun["ticket"],
            "intervals": [
                {"key": f"interval-{number}", "ago": number * 60, "seconds": 60} for number in (0, 1)
            ],
        }
        answer = browser.post(timer, data, "application/json")
        assert (answer.status_code, answer.json()) == (200, {"new": 2})
        usage.collect(self.maria.contract)
        assert DailyUsage.objects.get(contract=self.maria.contract).total_seconds == 120
        stranger = Client()
        stranger.force_login(self.reviewer)
        assert b"timer.js" not in stranger.get(page).content
