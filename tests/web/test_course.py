"""Work over time: the chart of a contract, of a customer, of a trainer, and the table that says the same."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_opentrain.models import Contract, DailyUsage
from django_opentrain.web.presenters.course import DAYS, HOURS, LABELS, course
from tests import factories
from tests.web.conftest import Visitor
from tests.web.markup import page_of
from tests.web.scenes import full_scene
from tests.web.test_decorators import check_markup

TODAY = date(2026, 11, 30)
Status = DailyUsage.Status


def worked(contract: Contract, days_ago: int, hours: float, **values: Any) -> DailyUsage:
    day = TODAY - timedelta(days=days_ago)
    return factories.make_usage(contract, day, total_seconds=round(hours * 3600), **values)


@pytest.fixture
def contract(db: None) -> Contract:
    return factories.make_contract(factories.make_install("acme"))


def rows() -> Any:
    return DailyUsage.objects.all()


def test_each_day_is_a_column_and_each_status_a_part_of_it(contract: Contract) -> None:
    worked(contract, 0, 1.5, status=Status.DUE)
    worked(contract, 1, 6, status=Status.REPORTED)
    worked(contract, 1, 1, status=Status.REFUSED, worker_id="usr_other")
    worked(contract, 2, 2, status=Status.REPORTED, hours_withheld=True)
    found = course(rows(), TODAY, HOURS)
    assert found is not None
    assert (found.since, found.until, found.top) == (TODAY - timedelta(days=29), TODAY, "8 h")
    *_others, two, one, now = found.chart.columns
    assert len(found.chart.columns) == DAYS
    assert [[part.tone for part in each.segments] for each in (two, one, now)] == [
        ["off"],
        ["ok", "bad"],
        ["wait"],
    ]
    assert one.title == "11/29/2026: reported: 6:00, refused by OpenTrain: 1:00"
    assert (
        found.summary
        == "Reported: 6:00, Not reported: 2:00, To be reported: 1:30, Refused by OpenTrain: 1:00"
    )
    assert [(each.day.day, [part.amount for part in each.parts]) for each in found.days] == [
        (30, ["0:00", "0:00", "1:30", "0:00"]),
        (29, ["6:00", "0:00", "0:00", "1:00"]),
        (28, ["0:00", "2:00", "0:00", "0:00"]),
    ]


def test_what_is_older_or_later_is_not_asked_for(contract: Contract) -> None:
    worked(contract, DAYS, 5)
    worked(contract, -1, 5)
    assert course(rows(), TODAY, HOURS) is None
    worked(contract, DAYS - 1, 5)
    assert course(rows(), TODAY, HOURS) is not None


def test_work_without_hours_is_counted_in_labels(contract: Contract) -> None:
    factories.make_usage(contract, TODAY, total_seconds=None, labels_completed=1200)
    assert course(rows(), TODAY, HOURS) is None
    found = course(rows(), TODAY, HOURS, LABELS)
    assert found is not None
    assert (found.title, found.top) == ("Labels per day", "2,000")


def test_one_query_however_much_work_there_is(contract: Contract) -> None:
    for days in range(40):
        for worker in ("", "usr_1", "usr_2"):
            worked(contract, days, 1, worker_id=worker)
    with CaptureQueriesContext(connection) as queries:
        course(rows(), TODAY, HOURS, LABELS)
    assert len(queries) == 1


@pytest.mark.parametrize("page", ["home", "contract", "work-contract"])
def test_the_chart_is_drawn_without_script_or_style_and_said_in_words(visitor: Visitor, page: str) -> None:
    scene = full_scene()
    client, url = visitor("acme-boss"), reverse("opentrain:home")
    if page != "home":
        url = reverse(f"opentrain:{page}", args=[scene.contract.pk])
    if page == "work-contract":
        client = visitor("maria")
        trainer = scene.grant.participant.opentrain_user_id
        factories.make_trainer_account(User.objects.get(username="maria"), opentrain_user_id=trainer)
    found = page_of(client.get(url))
    check_markup(found)
    (drawing,) = [svg for svg in found.all("svg") if svg.attributes.get("role") == "img"]
    ids = {element.attributes.get("id"): element.text for element in found.elements}
    assert ids[drawing.attributes["aria-labelledby"]] == "Hours per day"
    said = ids[drawing.attributes["aria-describedby"]]
    assert said == "Reported: 1:00, Not reported: 1:00, To be reported: 1:00, Refused by OpenTrain: 1:00"
    marks = {each.attributes["id"] for each in found.all("pattern")}
    drawn = [each.attributes["fill"] for each in found.all("rect") if "fill" in each.attributes]
    assert {mark.removeprefix("url(#").removesuffix(")") for mark in drawn} == marks
    assert len(found.all("table")) == 1


def test_a_contract_that_ended_shows_its_last_days(boss: Client) -> None:
    scene = full_scene()
    long_ago = timezone.now().date() - timedelta(days=300)
    for row in DailyUsage.objects.all():
        row.work_date -= timedelta(days=300)
        row.save()
    response = boss.get(reverse("opentrain:contract", args=[scene.contract.pk]))
    assert response.context["course"].until == long_ago
    assert boss.get(reverse("opentrain:home")).context["course"] is None


@pytest.mark.parametrize("language", ["de", "en"])
def test_coordinates_are_numbers_in_each_language(boss: Client, language: str) -> None:
    full_scene()
    with override_settings(LANGUAGE_CODE=language, USE_THOUSAND_SEPARATOR=True):
        page = page_of(boss.get(reverse("opentrain:home")))
    (drawing,) = [svg for svg in page.all("svg") if svg.attributes.get("role") == "img"]
    assert drawing.attributes["viewbox"] == "0 0 960 160"
    for rect in page.all("rect"):
        assert all(float(rect.attributes.get(name, "0")) >= 0 for name in ("x", "y", "width", "height"))
