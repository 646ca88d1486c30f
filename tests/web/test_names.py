"""Names come first: the trainer's, then the job's. Ids are there for those who ask for them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_opentrain.models import Contract, Participant
from django_opentrain.web.presenters.projects import project_rows
from tests import factories
from tests.web.conftest import Visitor
from tests.web.markup import Page, page_of, text_of
from tests.web.scenes import Scene, full_scene
from tests.web.test_decorators import PAGES, url_of

HOME = "/opentrain/"


def outside_details(html: str) -> str:
    """What can be read before anything is opened."""

    class Closed(Page):
        def handle_data(self, data: str) -> None:
            if not any(element.tag == "details" for element in self._open):
                super().handle_data(data)

    return Closed(html).text


@pytest.mark.parametrize(("name", "route"), [page for page in PAGES if page[0] != "day-csv"])
def test_no_page_shows_an_id_before_it_is_asked_for(boss: Client, name: str, route: str) -> None:
    scene = full_scene()
    response = boss.get(url_of(name, route, scene))
    if response.streaming or response.status_code != 200:
        return
    shown = outside_details(response.content.decode())
    link, contract, trainer = scene.link, scene.contract, scene.grant.participant
    ids = [scene.install.opentrain_id, link.job_id, contract.opentrain_id, trainer.opentrain_user_id]
    assert [each for each in ids if str(each) in shown] == []


def contract_page(client: Client, contract: Contract) -> Page:
    return page_of(client.get(reverse("opentrain:contract", args=[contract.pk])))


def test_a_contract_is_its_trainer_then_its_job(boss: Client) -> None:
    scene = full_scene()
    Contract.objects.update(title="Boxes")
    for url in (HOME, reverse("opentrain:contracts")):
        assert "Trainer 0 : Boxes Boxes · since" in text_of(boss.get(url))  # for the link's readers, for all
    page = contract_page(boss, scene.contract)
    assert page.all("title")[0].text == "Trainer 0 · Boxes · OpenTrain"
    assert [each.text for each in page.all("h1")] == ["Trainer 0"]
    assert "Trainer 0 Boxes Contract Active" in page.text
    day = page_of(boss.get(url_of("day", "contracts/<int:pk>/days/<str:day>/", scene)))
    assert "Trainer 0 · Boxes" in [a.text for a in day.all("a")]


def test_ids_are_where_they_can_be_opened(boss: Client) -> None:
    scene = full_scene()
    text = contract_page(boss, scene.contract).text
    for each in (
        scene.contract.opentrain_id,
        scene.contract.job_id,
        scene.grant.participant.opentrain_user_id,
    ):
        assert each in text


@pytest.mark.parametrize(
    ("title", "trainer", "words"),
    [
        ("", "Maria S.", "Maria S. Untitled job"),
        ("Boxes", None, "No trainer hired yet Boxes"),
        ("Boxes", "", "Boxes"),
    ],
)
def test_what_has_no_name_is_said(boss: Client, title: str, trainer: str | None, words: str) -> None:
    scene = full_scene()
    if trainer is None:
        Contract.objects.update(trainer=None)
    Participant.objects.update(display_name=trainer or "")
    Contract.objects.update(title=title)
    assert words in contract_page(boss, scene.contract).text
    listed = text_of(boss.get(reverse("opentrain:contracts")))
    assert (title or "Untitled job") in listed
    assert ("No trainer hired yet" in listed) is (trainer is None)


def test_a_link_names_its_job_by_the_title_of_its_contracts(boss: Client) -> None:
    install = factories.make_install("acme")
    link = factories.make_link(install, external_project_id="acme-1")
    assert "Linked to a job Ids" in text_of(boss.get(HOME))  # a job of which nothing else is known
    factories.make_contract(factories.make_install("other"), job_id=link.job_id, title="Theirs")
    factories.make_contract(install, job_id=link.job_id, title="")
    factories.make_contract(install, job_id=link.job_id, title="Boxes")
    assert "Job: Boxes Ids" in text_of(boss.get(HOME))


def test_a_trainers_pages_show_no_ids(visitor: Visitor) -> None:
    scene: Scene = full_scene()
    client = visitor("maria")
    Contract.objects.update(title="")
    factories.make_trainer_account(
        User.objects.get(username="maria"), opentrain_user_id=scene.grant.participant.opentrain_user_id
    )
    for url in (reverse("opentrain:work"), reverse("opentrain:work-contract", args=[scene.contract.pk])):
        text = text_of(client.get(url))
        assert "Untitled job" in text
        assert scene.contract.opentrain_id not in text


def test_of_a_jobs_contracts_one_is_read_however_many_they_are() -> None:
    install = factories.make_install()
    link = factories.make_link(install)
    for number in range(30):
        factories.make_contract(install, job_id=link.job_id, title=f"Title {number}")
    with CaptureQueriesContext(connection) as captured:
        [row] = project_rows(install, [])
    assert row.job_title == "Title 29"
    with connection.cursor() as cursor:
        for each in captured.captured_queries:
            cursor.execute(each["sql"])
            assert len(cursor.fetchall()) == 1
