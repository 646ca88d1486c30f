"""The platform's own pages: who sees what, and what a label counts for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_opentrain.adapters import get_adapter
from django_opentrain.models import Contract, WorkEntry
from django_opentrain.testing import OpenTrain
from example_project.labelling.models import Annotation, Project, Seat
from example_project.labelling.views import LONGEST_SECONDS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _seeded(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    call_command("seed", verbosity=0)


@pytest.fixture
def project() -> Project:
    return Project.objects.get(name="Customer feedback")


@pytest.fixture
def trainer(project: Project) -> Client:
    """The browser of a user with a seat."""
    user = User.objects.create_user("maria")
    Seat.objects.create(project=project, user=user)
    return browser_of(user)


@pytest.fixture
def customer() -> Client:
    return browser_of(User.objects.get(username="customer"))


def browser_of(user: User) -> Client:
    browser = Client(enforce_csrf_checks=False)
    browser.force_login(user)
    return browser


def label(browser: Client, project: Project, **values: Any) -> Any:
    """Label the text that is shown, with these fields changed."""
    url = reverse("label", args=[project.pk])
    shown = browser.get(url).context["shown"]
    return browser.post(url, {"shown": shown, "label": "positive", **values}, follow=True)


def test_seeding_again_changes_nothing() -> None:
    before = Project.objects.count(), User.objects.count()
    call_command("seed", verbosity=0)
    assert (Project.objects.count(), User.objects.count()) == before


@pytest.mark.parametrize("name", ["projects", "project", "label"])
def test_nothing_is_shown_to_strangers(client: Client, project: Project, name: str) -> None:
    response = client.get(reverse(name, args=[] if name == "projects" else [project.pk]))
    assert response.status_code == 302
    assert response["Location"].startswith("/login/")


def test_a_customer_sees_their_projects(customer: Client, project: Project) -> None:
    assert b"Customer feedback" in customer.get("/").content
    page = customer.get(project.get_absolute_url())
    assert b"0 of 20 texts have a label" in page.content
    assert b"This project is not linked to OpenTrain." in page.content


def test_other_peoples_projects_are_not_found(trainer: Client, project: Project) -> None:
    assert trainer.get(project.get_absolute_url()).status_code == 404


def test_without_a_seat_nobody_labels(customer: Client, project: Project) -> None:
    url = reverse("label", args=[project.pk])
    assert customer.get(url).status_code == 403
    assert customer.post(url, {"label": "positive"}).status_code == 403
    assert not Annotation.objects.exists()


def test_a_label_is_kept_and_the_next_text_shown(trainer: Client, project: Project) -> None:
    first = project.tasks.all()[0]
    page = label(trainer, project)
    assert page.context["task"] == project.tasks.all()[1]
    annotation = Annotation.objects.get()
    assert (annotation.task, annotation.label, annotation.contract) == (first, "positive", None)
    assert 1 <= annotation.seconds <= 5


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"label": "<script>"}, "no such label"),
        ({"shown": "forged"}, "not signed"),
        ({"shown": ""}, "nothing"),
        ({"shown": signing.dumps([1, 0], salt="another form")}, "signed for something else"),
    ],
)
def test_what_is_forged_changes_nothing(
    trainer: Client, project: Project, values: dict[str, str], why: str
) -> None:
    assert label(trainer, project, **values).status_code == 200
    assert not Annotation.objects.exists(), why


def test_a_form_that_is_sent_twice_counts_once(trainer: Client, project: Project) -> None:
    url = reverse("label", args=[project.pk])
    form = {"shown": trainer.get(url).context["shown"], "label": "positive"}
    trainer.post(url, form)
    trainer.post(url, {**form, "label": "negative"})
    assert Annotation.objects.get().label == "positive"


def test_lunch_is_not_work(trainer: Client, project: Project) -> None:
    an_hour_ago = int((timezone.now() - timedelta(hours=1)).timestamp())
    shown = signing.dumps([project.tasks.all()[0].pk, an_hour_ago], salt="example_project.labelling")
    label(trainer, project, shown=shown)
    assert Annotation.objects.get().seconds == LONGEST_SECONDS


def test_a_paused_seat_shows_no_text(trainer: Client, project: Project) -> None:
    shown = trainer.get(reverse("label", args=[project.pk])).context["shown"]
    Seat.objects.update(paused=True)
    page = label(trainer, project, shown=shown)
    assert b"Your work here is paused" in page.content
    assert not Annotation.objects.exists()


def test_work_is_booked_on_the_contract_and_its_budget_pauses_it(
    opentrain: OpenTrain, project: Project
) -> None:
    opentrain.connect(str(project.team_id))
    opentrain.link(str(project.pk))
    trainer = opentrain.hire("Maria S.")
    opentrain.run()
    user = User.objects.get(pk=trainer.grant.host_user_ref)
    label(browser_of(user), project)
    contract = trainer.contract
    assert Annotation.objects.get().contract == contract
    for state, paused in (("DEPLETED", True), ("OK", False)):
        contract.budget_state = state
        get_adapter().budget_changed(contract, "LOW")
        assert Seat.objects.get(user=user).paused is paused


def test_trainer_and_customer_are_warned_of_a_budget(
    opentrain: OpenTrain, project: Project, customer: Client
) -> None:
    opentrain.connect(str(project.team_id))
    opentrain.link(str(project.pk))
    trainer = opentrain.hire("Maria S.")
    opentrain.run()
    maria = browser_of(User.objects.get(pk=trainer.grant.host_user_ref))
    pages = [(maria, reverse("label", kwargs={"pk": project.pk})), (customer, project.get_absolute_url())]
    for browser, url in pages:
        assert "opentrain-banner" not in browser.get(url).content.decode()
    Contract.objects.update(budget_state="LOW")
    for browser, url in pages:
        assert "running low" in browser.get(url).content.decode()


def test_the_list_of_projects_says_how_the_connection_is(customer: Client, project: Project) -> None:
    assert "Connect to OpenTrain" in customer.get("/").content.decode()


def test_of_two_contracts_a_label_is_booked_on_the_one_that_pays(
    opentrain: OpenTrain, project: Project
) -> None:
    opentrain.connect(str(project.team_id))
    opentrain.link(str(project.pk))
    first = opentrain.hire("Maria S.")
    opentrain.travel(hours=1)
    opentrain.hire(again=first)
    opentrain.run()
    label(browser_of(User.objects.get(pk=first.grant.host_user_ref)), project)
    assert Annotation.objects.get().contract == first.contract


def test_pages_run_nothing_inline(customer: Client, project: Project) -> None:
    for url in ("/", project.get_absolute_url(), "/login/"):
        page = customer.get(url, follow=True)
        assert "default-src 'none'" in page["Content-Security-Policy"]
        assert not any(sign in page.content for sign in (b"<style", b" style=", b"<script>", b"onclick="))


def test_the_style_sheet_is_served(client: Client) -> None:
    response = client.get("/static/labelling/labelling.css")
    assert response.status_code == 200
    assert b"--brand" in b"".join(response.streaming_content)  # type: ignore[attr-defined] # it is a file


def test_a_trainers_label_is_work_and_the_teams_own_is_not(
    opentrain: OpenTrain, project: Project, trainer: Client
) -> None:
    opentrain.connect(str(project.team_id))
    opentrain.link(str(project.pk))
    hire = opentrain.hire()
    opentrain.run()
    label(trainer, project)
    assert not WorkEntry.objects.exists()
    browser = browser_of(User.objects.get(pk=hire.grant.host_user_ref))
    for _text in range(2):
        label(browser, project)
    entries = WorkEntry.objects.filter(opentrain_user_id=hire.opentrain_user_id)
    assert [(entry.kind, entry.tasks, entry.labels) for entry in entries] == [("SUBMITTED", 1, 1)] * 2


def test_the_timer_is_where_texts_are_labelled(trainer: Client, project: Project) -> None:
    page = trainer.get(reverse("label", args=[project.pk]))
    assert f'data-project="{project.pk}" defer></script>' in page.content.decode()
    assert "connect-src 'self'" in page["Content-Security-Policy"]
    assert b"timer.js" not in trainer.get("/").content
