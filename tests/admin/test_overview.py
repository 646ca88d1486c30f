"""The operators' overview: what needs attention, and how things stand."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any, Final

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from django_opentrain.admin import ADMINS
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Heartbeat,
    Install,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.services.conditions import CONDITIONS
from tests import factories
from tests.admin.browsing import text_of, url
from tests.admin.conftest import EMAIL, HOSTILE, SECRET, TOKEN, Scene, logged_in, make_scene
from tests.admin.test_pages import INLINE_CODE, add_to, make_another

#: Of a page, with those of session, user and permissions.
MAX_STATEMENTS: Final = 12
#: A link whose text is a number, or ends with one.
NUMBER = re.compile(r'<a href="([^"]+)">(?:[^<]*: )?([\d,]+)</a>')
HEADING = re.compile(r'<h2 id="opentrain-(\w+)">')


def overview_url(site: str = "admin") -> str:
    return reverse("admin:app_list", args=["django_opentrain"], current_app=site)


def overview(client: Client, site: str = "admin") -> str:
    return text_of(client.get(overview_url(site)))


def numbers(page: str) -> list[tuple[str, int]]:
    return [(unescape(link), int(count.replace(",", ""))) for link, count in NUMBER.findall(page)]


def ours_of(page: str) -> str:
    return page.partition('class="opentrain-overview"')[2].partition('id="content-main"')[0]


def staff_with(*models: Any) -> User:
    user = factories.make_user(is_staff=True)
    codenames = [f"view_{model._meta.model_name}" for model in models]
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="django_opentrain", codename__in=codenames)
    )
    return user


def make_every_state() -> Scene:
    """Rows in each state that the overview counts, in differing numbers, and some that it leaves out."""
    scene = make_scene()
    for install_status in Install.Status:
        factories.make_install(install_status, status=install_status)
    install = factories.make_install("acme")
    for number, status in enumerate(WebhookEndpoint.Status):
        for _ in range(number + 1):
            factories.make_endpoint(install, status=status)
    link, endpoint = factories.make_link(install), factories.make_endpoint(install)
    for desired in AccessGrant.Desired:
        for state in AccessGrant.State:
            person = factories.make_participant(install)
            contract = factories.make_contract(install, [link], trainer=person)
            factories.make_grant(contract, link, person, desired=desired, state=state)
    make_work(factories.make_contract(install), endpoint)
    for number, budget_state in enumerate(Contract.BudgetState):
        for _ in range(number + 1):
            factories.make_contract(install, budget_state=budget_state)
        factories.make_contract(install, budget_state=budget_state, status=Contract.Status.ENDED)
    return scene


def make_work(contract: Contract, endpoint: WebhookEndpoint) -> None:
    """Events and days of each status, the oldest too old to be shown."""
    now = timezone.now()
    for hours in (0, 1, 1, 26, 47, 60):
        for event_status in WebhookEvent.Status:
            factories.make_event(endpoint, status=event_status, received_at=now - timedelta(hours=hours))
    for days in (0, 1, 13, 14):
        for usage_status in DailyUsage.Status:
            day = (now - timedelta(days=days)).date()
            factories.make_usage(contract, day, status=usage_status, worker_id=usage_status)


@pytest.mark.long
@pytest.mark.django_db
def test_each_number_leads_to_exactly_its_rows(superuser: User) -> None:
    make_every_state()
    client = logged_in(superuser)
    found = numbers(overview(client))
    assert len(found) > 60
    for link, count in found:
        changes = client.get(link).context["cl"]
        assert changes.result_count == count, link
        # The list says by which filters it is narrowed, or by what it was narrowed in its address.
        assert "?e=1" not in changes.get_query_string()


@pytest.mark.django_db
def test_what_is_counted_is_what_is_stored(superuser: User) -> None:
    make_every_state()
    page = overview(logged_in(superuser))
    found = dict(numbers(page))
    install, grant = url(Install, "changelist"), url(AccessGrant, "changelist")
    assert found[f"{install}?status__exact=UNAUTHORIZED"] == 1
    assert found[f"{grant}?desired__exact=REVOKED&state__exact=FAILED"] == 2
    assert found[f"{url(Contract, 'changelist')}?status__exact=active&budget_state__exact=DEPLETED"] == 3
    assert found[f"{url(WebhookEndpoint, 'changelist')}?attention=endpoint-disabled"] == 3
    assert len([link for link in found if link.startswith(f"{url(DailyUsage, 'changelist')}?status")]) == 16
    assert "the oldest was received 2 days, 12 hours ago" in page.replace("\xa0", " ")


@pytest.mark.long
@pytest.mark.django_db
def test_what_needs_attention_comes_first_the_worst_on_top(superuser: User) -> None:
    make_every_state()
    page = overview(logged_in(superuser))
    assert HEADING.findall(page)[0] == "attention"
    named = re.findall(r"<code>docs/runbooks/([\w-]+)\.md</code>", page)
    assert len(named) > 10
    severities = [CONDITIONS[name].severity for name in named]
    assert severities == sorted(severities, reverse=True)
    assert {name for name in named if not CONDITIONS[name].for_operators} == set()
    assert page.index("opentrain-attention") < page.index('class="model-install')


@pytest.mark.django_db
def test_nothing_needs_attention_on_a_new_site_but_the_schedule(superuser: User) -> None:
    client = logged_in(superuser)
    page = overview(client)
    assert "Nothing has run on schedule for more than five minutes" in page
    assert "docs/runbooks/beat-silent.md" in page
    Heartbeat.objects.create(name="sweep", beat_at=timezone.now(), host="worker-1")
    page = overview(client)
    assert "Nothing needs your attention." in page
    assert "worker-1" in page
    Heartbeat.objects.update(beat_at=timezone.now() + timedelta(minutes=2))
    assert "docs/runbooks/clock-set-back.md" in overview(client)


@pytest.mark.long
@pytest.mark.django_db
def test_a_page_takes_as_many_statements_whatever_there_is(viewer: User) -> None:
    client = logged_in(viewer)
    overview(client)
    with CaptureQueriesContext(connection) as few:
        overview(client)
    scene = make_every_state()
    for _ in range(20):
        make_another(scene)
        add_to(scene)
    with CaptureQueriesContext(connection) as many:
        overview(client)
    assert len(many) == len(few) <= MAX_STATEMENTS


PANELS: Final = {
    Install: {"install"},
    WebhookEndpoint: {"webhookendpoint"},
    AccessGrant: {"access"},
    Contract: {"budgets"},
    WebhookEvent: {"events"},
    DailyUsage: {"usage"},
    Heartbeat: {"beats"},
    TrainerAccount: set[str](),
    UsageObjection: set[str](),
}


@pytest.mark.django_db
@pytest.mark.parametrize("model", PANELS, ids=lambda model: model.__name__)
def test_a_panel_needs_the_permission_of_its_model(model: Any) -> None:
    make_every_state()
    client = logged_in(staff_with(model))
    with CaptureQueriesContext(connection) as statements:
        page = overview(client)
    assert set(HEADING.findall(page)) == {"attention", *PANELS[model]}
    assert {link.partition("?")[0] for link, _count in numbers(page)} <= {url(model, "changelist")}
    read = {
        other
        for other in PANELS
        if any(f'COUNT(*) AS "count" FROM "{other._meta.db_table}"' in each["sql"] for each in statements)
    }
    assert read <= {model}


@pytest.mark.django_db
def test_those_without_a_permission_see_no_overview() -> None:
    make_every_state()
    assert logged_in(staff_with()).get(overview_url()).status_code == 404
    assert logged_in(factories.make_user()).get(overview_url()).status_code == 302


@pytest.mark.urls("tests.admin.test_sites")
def test_numbers_of_another_site_stay_on_it(scene: Scene, superuser: User) -> None:
    client = logged_in(superuser)
    page = overview(client, "backoffice")
    assert {link.split("/")[1] for link, _count in numbers(page)} == {"back-office"}
    assert set(HEADING.findall(page)) == {"attention", *(name for names in PANELS.values() for name in names)}
    assert set(HEADING.findall(overview(client, "small"))) == {"attention", "install"}


@pytest.mark.django_db
def test_it_shows_no_secret_and_has_no_inline_code(superuser: User) -> None:
    make_scene(text=HOSTILE)
    page = overview(logged_in(superuser))
    assert [secret for secret in (TOKEN, SECRET, EMAIL, HOSTILE) if secret in page] == []
    assert not INLINE_CODE.search(page)
    assert "/static/opentrain/admin.css" in page


@pytest.mark.django_db
def test_charts_and_tables_have_names_for_screen_readers(superuser: User) -> None:
    make_every_state()
    page = ours_of(overview(logged_in(superuser)))
    charts = re.findall(
        r'<svg [^>]*role="img" aria-labelledby="([\w-]+)">\s*<title id="([\w-]+)">([^<]+)</title>', page
    )
    assert [name == title for name, title, _text in charts] == [True, True]
    assert "processed: 5" in charts[0][2]
    assert page.count("<table>") == page.count("<caption") > 5
    assert re.findall(r"<th(?! scope)[^e]", page) == []
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'aria-labelledby="([^"]+)"', page)) <= set(ids)


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["de", "ar"])
def test_coordinates_are_the_same_in_every_language(superuser: User, settings: Any, language: str) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = language, True
    make_every_state()
    with translation.override(language):
        page = ours_of(overview(logged_in(superuser)))
    numbers_in_svg = re.findall(r' (?:x|y|width|height)="([^"]*)"', page)
    assert len(numbers_in_svg) > 100
    assert [each for each in numbers_in_svg if not re.fullmatch(r"\d+(\.\d\d)?", each)] == []


def test_every_model_whose_rows_can_need_attention_can_be_listed() -> None:
    assert {each.model for each in CONDITIONS.values()} <= set(ADMINS)
