"""What the customer's pages say."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.template import Context, Template
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_opentrain.adapters import OpenTrainAdapter
from django_opentrain.crypto import generate_key
from django_opentrain.errors import AdapterError
from django_opentrain.explanations import Reason
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, ProjectLink
from tests import factories
from tests.web.adapter import NamesAdapter
from tests.web.conftest import Visitor
from tests.web.markup import page_of, text_of
from tests.web.scenes import full_scene

HOME = "/opentrain/"
SOON = timedelta(minutes=5)

NO_ANSWER = Reason("No answer.", "OPENTRAIN_UNAVAILABLE").columns("last_error")


def home(client: Client, query: str = "") -> str:
    response = client.get(HOME + query)
    assert response.status_code == 200
    return text_of(response)


# The connection -------------------------------------------------------------------------------


def test_a_new_customer_is_told_how_it_works(boss: Client) -> None:
    text = home(boss)
    assert "Not connected" in text
    assert "Connect to OpenTrain" in text
    assert "I have a token already" in text


def test_there_is_a_way_back_to_the_hosts_own_pages(boss: Client) -> None:
    ways = {a.text: a.attributes["href"] for a in page_of(boss.get(HOME)).all("a")}
    assert ways["Back to annotate.example"] == "https://annotate.example/"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({}, ["Connected", "Check the connection", "Disconnect"], id="works"),
        pytest.param(
            {"status": "PENDING", "token": None}, ["Almost connected", "Paste the token"], id="pending"
        ),
        pytest.param(
            {
                "status": "UNAUTHORIZED",
                "last_error": "It was revoked. (request req_1)",
                "last_error_code": "RECONNECT_REQUIRED",
                "refused_at": timedelta(),
            },
            [
                "no longer accepts",
                "It was revoked. (request req_1)",
                "keep their access until",
                "Connect again",
            ],
            id="unauthorized",
        ),
        pytest.param(
            {"status": "UNAUTHORIZED", "refused_at": timedelta(days=2)},
            ["no longer accepts", "the trainers' access ends", "Connect again"],
            id="unauthorized for long",
        ),
        pytest.param(
            {"status": "REVOKED", "revoked_at": timedelta()},
            ["ended on OpenTrain", "lose their access at", "Connect again"],
            id="revoked, in the period of grace",
        ),
        pytest.param(
            {"status": "REVOKED", "revoked_at": timedelta(days=1)},
            ["ended on OpenTrain", "has ended with it", "Connect again"],
            id="revoked for good",
        ),
        pytest.param({"status": "DISCONNECTED"}, ["You disconnected", "Connect again"], id="disconnected"),
        pytest.param(
            {"paused_until": -timedelta(days=3650)},
            ["limits this site's calls", "nothing is lost"],
            id="paused",
        ),
        pytest.param(
            {"last_error_code": "OPENTRAIN_FORBIDDEN", "last_error": "The feature is off."},
            ["is refusing this connection", "The feature is off."],
            id="forbidden",
        ),
        pytest.param(
            Reason("OpenTrain can't be reached.", "OPENTRAIN_UNAVAILABLE").columns("last_error"),
            ["can't be reached", "retried automatically"],
            id="failing",
        ),
        pytest.param({"scopes": ["contracts:read"]}, ["didn't grant", "usage:write"], id="scopes missing"),
        pytest.param(
            {"pii_consent": False}, ["Work Emails are not shared", "not shared"], id="no PII consent"
        ),
        pytest.param({"removals_held": 7}, ["7 removals of access wait"], id="removals held"),
    ],
)
def test_each_state_is_told_in_words(boss: Client, values: dict[str, Any], words: list[str]) -> None:
    now = timezone.now()
    columns = {name: now - value if isinstance(value, timedelta) else value for name, value in values.items()}
    factories.make_install("acme", **columns)
    text = home(boss)
    assert [word for word in words if word not in text] == []


def test_what_was_not_granted_is_named_with_its_use_and_one_button(boss: Client) -> None:
    factories.make_install("acme", scopes=["contracts:read"], pii_consent=False)
    text = home(boss)
    assert "Connected, but something is missing" in text
    assert "usage:write (to report the work done)" in text
    assert text.count("Connect again") == 3  # the advice of each note, and the button


def test_one_button_stands_out(boss: Client) -> None:
    factories.make_install("acme", status="PENDING", token=None)
    buttons = page_of(boss.get(HOME)).all("a", "button")
    first = [b.text for b in buttons if "first" in b.attributes.get("class", "").split()]
    assert first == ["Paste the token"]


def test_a_deadline_has_its_time_zone(boss: Client) -> None:
    factories.make_install("acme", status="REVOKED", revoked_at=timezone.now())
    with override_settings(TIME_ZONE="Asia/Tokyo"):
        text = home(boss)
    assert re.search(r"lose their access at .+ [ap]\.m\. JST\.", text)


# What needs attention ---------------------------------------------------------------------------


def called(client: Client) -> list[tuple[str, str, str]]:
    """Tone, words and way of each call at the top of the page."""
    return [(c.tone, c.text, c.url) for c in client.get(HOME).context["alerts"]]


def test_nothing_calls_where_all_is_well(boss: Client) -> None:
    assert called(boss) == []
    scene = full_scene()
    Install.objects.update(removals_held=0, reconcile_summary={})
    scene.pending.delete()
    scene.endpoint.delete()
    Contract.objects.update(budget_state="OK")
    DailyUsage.objects.update(status=DailyUsage.Status.REPORTED)
    AccessGrant.objects.update(state=AccessGrant.State.PENDING)  # under way
    assert called(boss) == []
    assert contracts_in_need(boss) == []


def contracts_in_need(client: Client, status: str = "attention") -> list[Contract]:
    return list(client.get(reverse("opentrain:contracts"), {"status": status}).context["page"])


WAITING = {"state": "WAITING_FOR_EMAIL", "desired_at": timezone.now() - timedelta(days=2)}


@pytest.mark.parametrize(
    ("contract", "grant", "condition", "call"),
    [
        ({"budget_state": "LOW"}, {}, "budget-low", ("warn", "The budget of 1 contract is running low.")),
        (
            {"budget_state": "DEPLETED"},
            {},
            "budget-depleted",
            ("bad", "The budget of 1 contract is used up."),
        ),
        (
            {"collect_error": "no table"},
            {},
            "usage-uncollected",
            ("bad", "The work of 1 contract can't be collected."),
        ),
        ({}, {"state": "FAILED"}, "grant-failing", ("bad", "1 trainer could not be given access.")),
        ({}, WAITING, "grant-waiting", ("warn", "1 trainer waits for a Work Email.")),
        (
            {"status": "ended", "budget_state": "LOW"},
            {"state": "FAILED", "desired": "REVOKED", "attempts": 1},
            "removal-failing",
            ("bad", "The access of 1 trainer could not be revoked."),
        ),
    ],
)
def test_a_contract_in_need_is_called_out_and_listed(
    boss: Client, contract: dict[str, str], grant: dict[str, Any], condition: str, call: tuple[str, str]
) -> None:
    install = factories.make_install("acme")
    link, trainer = factories.make_link(install), factories.make_participant(install)
    factories.make_grant(factories.make_contract(install, [link]), link, trainer)
    needing = factories.make_contract(install, [link], **contract)
    factories.make_grant(needing, link, trainer, **grant)
    assert [(tone, text) for tone, text, _url in called(boss)] == [call]
    assert contracts_in_need(boss) == contracts_in_need(boss, condition) == [needing]
    assert contracts_in_need(boss, "usage-refused") == []


@pytest.mark.long
@pytest.mark.skipif(connection.vendor != "sqlite", reason="counts the steps of SQLite's programs")
def test_what_other_customers_have_costs_a_page_nothing(boss: Client) -> None:
    full_scene()
    other = factories.make_install("other")

    def steps() -> int:
        taken: list[None] = []
        connection.connection.set_progress_handler(lambda: taken.append(None), 100)
        home(boss)
        contracts_in_need(boss)
        connection.connection.set_progress_handler(None, 100)
        return len(taken)

    steps()
    before = steps()
    many = [Contract(install=other, opentrain_id=f"of_others_{number}") for number in range(500)]
    Contract.objects.bulk_create(many)
    for contract in Contract.objects.filter(install=other):
        factories.make_usage(contract, status=DailyUsage.Status.REPORTED)
    after = steps()
    assert after < 2 * before


def test_the_worst_calls_first(boss: Client) -> None:
    scene = full_scene()
    tones = ["bad", "bad", "bad", "warn", "warn", "warn", "wait"]
    assert [tone for tone, _text, _url in called(boss)] == tones
    text = home(boss)
    assert "7 removals of access wait for your confirmation. Review" in text
    assert "OpenTrain has disabled its notifications. Re-enable" in text
    scene.pending.delete()
    Install.objects.update(status="DISCONNECTED", removals_held=0)
    # What OpenTrain would have to do no longer calls; what is left behind here does.
    page = reverse("opentrain:contract", args=[scene.contract.pk])
    assert called(boss) == [("bad", "1 trainer could not be given access.", f"{page}#access")]


def test_a_lost_key_is_explained(boss: Client) -> None:
    full_scene()
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}):
        assert "can't read the connection's token" in home(boss)


def test_the_token_is_only_hinted_at(boss: Client) -> None:
    scene = full_scene()
    text = home(boss)
    assert f"••••{scene.install.token_hint}" in text
    assert str(scene.install.token) not in boss.get(HOME).content.decode()


@pytest.mark.parametrize("later", [True, False], ids=["begun after", "begun before"])
def test_an_unfinished_connection_doesnt_hide_that_the_other_was_disconnected(
    boss: Client, later: bool
) -> None:
    ended_at = timezone.now() - SOON
    factories.make_install("acme", status="DISCONNECTED", revoked_at=ended_at)
    waiting = factories.make_install("acme", status="PENDING", token=None)
    begun = ended_at + SOON / 2 if later else ended_at - SOON
    Install.objects.filter(pk=waiting.pk).update(created_at=begun)
    text = home(boss)
    assert "You disconnected" in text
    assert "Almost connected" not in text
    assert ("A connection is waiting for its token" in text) == later


def test_an_unfinished_connection_doesnt_hide_the_deadline_of_a_revoked_one(boss: Client) -> None:
    factories.make_install("acme", status="REVOKED", revoked_at=timezone.now() - timedelta(seconds=1))
    factories.make_install("acme", status="PENDING", token=None)
    text = home(boss)
    assert "lose their access at" in text
    assert "A connection is waiting for its token" in text


def test_of_ended_connections_the_one_that_ended_last_is_shown(boss: Client) -> None:
    now = timezone.now()
    factories.make_install("acme", status="DISCONNECTED", revoked_at=now)
    factories.make_install("acme", status="REVOKED", revoked_at=now - timedelta(days=30))
    assert "You disconnected" in home(boss)


def test_an_unfinished_connection_beside_a_working_one_can_be_finished(boss: Client) -> None:
    scene = full_scene()
    assert "A connection is waiting for its token" in home(boss)
    Install.objects.filter(pk=scene.pending.pk).update(created_at=timezone.now() - timedelta(days=2))
    assert "A connection is waiting" not in home(boss)


def test_what_could_not_be_compared_is_listed(boss: Client) -> None:
    full_scene()
    text = home(boss)
    assert "1 item could not be synced with OpenTrain. Review" in text
    assert "What could not be synced the list was cut" in text


@pytest.mark.long
def test_each_of_several_connections_can_be_chosen(boss: Client) -> None:
    first = factories.make_install("acme", organization_id="org_a")
    second = factories.make_install("acme", organization_id="org_b")
    foreign = factories.make_install("other")
    assert str(second.opentrain_id) in home(boss)
    response = boss.get(HOME, {"install": first.pk})
    assert response.context["install"] == first
    assert boss.get(HOME, {"install": foreign.pk}).context["install"] == second


# Projects, contracts, work ----------------------------------------------------------------------


def test_linked_projects_come_first_and_unknown_ones_are_named(boss: Client) -> None:
    install = factories.make_install("acme")
    factories.make_link(install, external_project_id="acme-3")
    factories.make_link(install, external_project_id="gone", external_project_name="Gone project")
    rows = list(boss.get(HOME).context["projects"])
    assert [(row.project and row.project.id, row.link is not None) for row in rows] == [
        (None, True),
        ("acme-3", True),
        ("acme-1", False),
        ("acme-2", False),
    ]
    assert "not one of your projects" in home(boss)


@pytest.mark.parametrize(
    ("status", "words"), [("ACTIVE", "Linked"), ("DISCONNECTED", "Waiting for the connection")]
)
def test_a_link_is_worth_what_its_connection_is(boss: Client, status: str, words: str) -> None:
    factories.make_link(factories.make_install("acme", status=status), external_project_id="acme-1")
    assert f"Acme project 1 {words} Linked to a job" in home(boss)


def test_each_unlinked_project_leads_to_the_form(boss: Client) -> None:
    install = factories.make_install("acme")
    factories.make_link(install, external_project_id="acme-1")
    ways = [a for a in page_of(boss.get(HOME)).all("a") if a.attributes["href"].endswith("#link")]
    assert [a.text for a in ways] == ["Choose a job: Acme project 2", "Choose a job: Acme project 3"]
    page = boss.get(ways[1].attributes["href"].removesuffix("#link")).content.decode()
    assert '<option value="acme-3" selected>' in page


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"job_id": ""}, "No job chosen yet"),
        ({"status": ProjectLink.Status.PENDING, **NO_ANSWER}, "No answer."),
        ({"removal_requested_at": timezone.now()}, "Being removed"),
        ({"provisioning_mode": "MANAGED_ADAPTER"}, "OpenTrain gives access"),
    ],
)
def test_a_links_state_is_told(boss: Client, values: dict[str, Any], words: str) -> None:
    factories.make_link(factories.make_install("acme"), external_project_id="acme-1", **values)
    assert words in home(boss)


@pytest.mark.parametrize(
    ("values", "words", "bar"),
    [
        ({"payment_type": "FIXED_PRICE"}, "Fixed price", None),
        ({"budget_updated_at": None}, "Not known yet", None),
        ({"funded_volume": None}, "Not funded", None),
        ({}, "Low 34.5 of 40 funded hours used (86 %)", "0.8625"),
        (
            {"payment_type": "PAY_PER_LABEL", "funded_volume": Decimal(4000)},
            "34.5 of 4,000 funded labels",
            "0.8625",
        ),
        ({"budget_state": "OK", "consumed_fraction": Decimal("0.25")}, "Funded 34.5", "0.2500"),
        ({"budget_state": "DEPLETED", "consumed_fraction": Decimal("1.02")}, "Depleted 34.5", "1.0000"),
        ({"payment_type": "NEW"}, "34.5 of 40 used", "0.8625"),
    ],
)
def test_a_budget_in_words_and_as_a_bar(
    boss: Client, values: dict[str, Any], words: str, bar: str | None
) -> None:
    scene = full_scene()
    Contract.objects.filter(pk=scene.contract.pk).update(**values)
    with override_settings(USE_THOUSAND_SEPARATOR=True):
        response = boss.get(reverse("opentrain:contract", args=[scene.contract.pk]))
    assert words in text_of(response)
    assert (f'value="{bar}"' in response.content.decode()) is (bar is not None)


@pytest.mark.parametrize("language", ["de", "fi"])
def test_numbers_in_attributes_are_not_translated(boss: Client, language: str) -> None:
    scene = full_scene()
    with override_settings(LANGUAGE_CODE=language, USE_THOUSAND_SEPARATOR=True):
        response = boss.get(reverse("opentrain:contract", args=[scene.contract.pk]))
    assert 'value="0.8625"' in response.content.decode()


WANTED, PAUSED, UNWANTED = AccessGrant.Desired.values
STATE = AccessGrant.State


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": STATE.GRANTED, "granted_at": timezone.now()}, ["Has access", "since"]),
        ({"state": STATE.REVOKED, "desired": UNWANTED}, ["Access ended"]),
        ({"state": STATE.PENDING, "last_error": ""}, ["Access is being granted"]),
        ({"state": STATE.GRANTED, "desired": UNWANTED}, ["Access is being revoked", "Retry now"]),
        ({"state": STATE.FAILED, "next_attempt_at": None}, ["could not be granted", "being retried now"]),
        (
            {"state": STATE.PAUSED, "desired": PAUSED, "revoked_at": timezone.now()},
            [
                "Paused: the budget is used up",
                "since",
                "given back automatically when the contract is funded",
            ],
        ),
        ({"state": STATE.GRANTED, "desired": PAUSED}, ["Access is being paused", "Retry now"]),
        ({"state": STATE.FAILED, "desired": PAUSED}, ["Access could not be paused", "Next attempt:"]),
        ({"state": STATE.REMOVED_BY_HAND, "desired": PAUSED}, ["Removed by hand", "Give access again"]),
        (
            {"state": STATE.FAILED, "desired": UNWANTED},
            ["could not be revoked", "the account was", "Next attempt:"],
        ),
        (
            {"state": STATE.WAITING_FOR_EMAIL, **Reason.note("No Work Email.").columns("last_error")},
            ["Waiting for a", "No Work Email."],
        ),
    ],
)
def test_access_in_words(boss: Client, values: dict[str, Any], words: list[str]) -> None:
    scene = full_scene()
    AccessGrant.objects.filter(pk=scene.grant.pk).update(**values)
    text = text_of(boss.get(reverse("opentrain:contract", args=[scene.contract.pk])))
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (AdapterError("the ledger is closed"), "could not be collected: the ledger is closed"),
        (RuntimeError("no such table: ledger"), "could not be collected: Ask this site's administrators"),
    ],
)
def test_work_that_can_not_be_collected_is_shown(boss: Client, error: Exception, shown: str) -> None:
    scene = full_scene()
    page = reverse("opentrain:contract", args=[scene.contract.pk])
    assert "could not be collected" not in text_of(boss.get(page))
    Contract.objects.filter(pk=scene.contract.pk).update(**Reason.of(error).columns("collect_error"))
    text = text_of(boss.get(page))
    assert shown in text
    assert "no such table" not in text


def test_a_day_that_is_reported_again_says_when(boss: Client) -> None:
    scene = full_scene()
    page = reverse("opentrain:contract", args=[scene.contract.pk])
    assert "retried after" not in text_of(boss.get(page))
    time = timezone.now().replace(year=2031, month=7, day=9, hour=9, minute=5)
    scene.contract.usage.filter(status=DailyUsage.Status.REFUSED).update(retry_at=time)
    assert "It will be retried after July 9, 2031, 9:05 a.m." in text_of(boss.get(page))


def test_a_home_row_says_which_project_each_access_is_for(boss: Client) -> None:
    scene = full_scene()
    assert "Invoices Access could not be granted" not in home(boss)
    other = factories.make_link(scene.install, external_project_name="Receipts")
    factories.make_grant(scene.contract, other, scene.grant.participant)
    assert "Invoices Access could not be granted Receipts Has access" in home(boss)


def test_what_broke_inside_the_host_is_for_its_operators(boss: Client) -> None:
    scene = full_scene()
    inside = Reason.of(OperationalError("table secret_inner is locked"))
    AccessGrant.objects.filter(pk=scene.grant.pk).update(**inside.columns("last_error"))
    text = text_of(boss.get(reverse("opentrain:contract", args=[scene.contract.pk])))
    assert "secret_inner" not in text
    assert "Ask this site's administrators for details." in text


def test_a_profile_that_is_not_a_web_page_is_no_link(boss: Client) -> None:
    scene = full_scene()
    trainer = scene.grant.participant
    trainer.profile_url, trainer.display_name = "javascript:alert(1)", "<b>Eve</b>"
    trainer.save()
    page = boss.get(reverse("opentrain:contract", args=[scene.contract.pk])).content.decode()
    assert "javascript:" not in page
    assert "<b>Eve" not in page


def test_a_day_may_have_labels_and_no_hours(boss: Client) -> None:
    scene = full_scene()
    scene.contract.usage.all().delete()
    factories.make_usage(scene.contract, total_seconds=None, tasks_completed=None, worker_id="usr_other")
    text = text_of(boss.get(reverse("opentrain:contract", args=[scene.contract.pk])))
    assert "usr_other 40 To be reported" in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"status": "ACTIVE"}, "Receiving events"),
        ({"status": "ACTIVE", "consecutive_failures": 4}, "The last 4 deliveries failed."),
        ({"status": "DISABLED"}, "Disabled by OpenTrain"),
        ({"status": "PAUSED"}, "Notifications were disabled on purpose"),
        ({"status": "PENDING", **NO_ANSWER}, "No answer."),
        ({"status": "RETIRING"}, "Being replaced"),
    ],
)
def test_notifications_in_words(boss: Client, values: dict[str, Any], words: str) -> None:
    install = factories.make_install("acme")
    factories.make_endpoint(install, **values)
    factories.make_endpoint(install, status="REMOVED", last_error="long gone")
    text = home(boss)
    assert words in text
    assert "long gone" not in text


def test_an_endpoints_trouble_is_told_once(boss: Client) -> None:
    factories.make_endpoint(factories.make_install("acme"), status="PENDING", **NO_ANSWER)
    assert home(boss).count("No answer.") == 1


# Lists ------------------------------------------------------------------------------------------


@pytest.mark.long
def test_long_lists_have_pages(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NamesAdapter, "projects", 45)
    full_scene(contracts=60)
    assert len(boss.get(HOME, {"projects": 3}).context["projects"].object_list) == 5
    assert len(boss.get(HOME).context["contracts"]) == 10
    contracts = reverse("opentrain:contracts")
    assert len(boss.get(contracts, {"page": 3}).context["page"].object_list) == 10
    assert len(boss.get(contracts, {"page": "x"}).context["page"].object_list) == 25
    assert boss.get(contracts, {"status": "ended"}).context["page"].paginator.count == 0
    assert boss.get(contracts, {"status": "nonsense"}).context["page"].paginator.count == 60


def test_pages_keep_their_filter(boss: Client) -> None:
    full_scene(contracts=30)
    page = boss.get(reverse("opentrain:contracts"), {"status": "active"}).content.decode()
    assert 'href="?status=active&amp;page=2"' in page


@pytest.mark.parametrize("page", ["home", "contracts"])
def test_the_number_of_queries_does_not_grow(boss: Client, page: str) -> None:
    url = reverse(f"opentrain:{page}")
    full_scene(contracts=1)
    with CaptureQueriesContext(connection) as few:
        boss.get(url)
    Install.objects.all().delete()
    full_scene(contracts=20)
    with CaptureQueriesContext(connection) as many:
        boss.get(url)
    assert len(many) == len(few)
    assert len(many) <= 15


# On the host's own pages -------------------------------------------------------------------------

TAG = Template("{% load opentrain %}{% opentrain_project_status project %}")


def request_of(user: User | AnonymousUser) -> HttpRequest:
    request = RequestFactory().get("/projects/1/")
    request.user = user
    return request


def shown(username: str | None, project: str) -> str:
    user = factories.make_user(username) if username else AnonymousUser()
    return TAG.render(Context({"request": request_of(user), "project": project}))


def test_the_project_status_tag_shows_link_and_budgets(db: None) -> None:
    scene = full_scene()
    html = shown("acme-boss", "acme-1")
    assert "Linked to OpenTrain" in html
    assert "34.5 of 40 funded hours used" in html
    assert f"/opentrain/contracts/{scene.contract.pk}/" in html
    assert "style=" not in html


def test_the_project_status_tag_shows_a_budget_that_is_used_up(db: None) -> None:
    scene = full_scene()
    Contract.objects.update(
        budget_state="DEPLETED", consumed_fraction=Decimal(1), consumed_volume=Decimal(40)
    )
    user = request_of(factories.make_user("acme-boss"))
    page = Context({"request": user, "project": "acme-1"})
    html = TAG.render(page)
    assert "<strong>Depleted</strong> 40 of 40 funded hours used" in html
    assert 'data-tone="bad"' in html
    assert "Work is paused" not in html
    ProjectLink.objects.filter(pk=scene.link.pk).update(stop_when_depleted=True)
    assert "Work is paused until the contract is funded again." in TAG.render(page)


@pytest.mark.parametrize(
    ("username", "project", "words"),
    [
        pytest.param("acme-boss", "acme-2", "not linked", id="not linked"),
        pytest.param("other-boss", "acme-1", "not linked", id="another customer's"),
        pytest.param("acme-clerk", "acme-1", None, id="not a manager"),
        pytest.param("stranger", "acme-1", None, id="no customer"),
        pytest.param(None, "acme-1", None, id="anonymous"),
    ],
)
def test_the_project_status_tag_is_for_managers(
    username: str | None, project: str, words: str | None
) -> None:
    full_scene()
    html = shown(username, project)
    assert (words in html) if words else not html.strip()


def test_the_project_status_tag_without_a_hire_and_with_a_dead_connection(visitor: Visitor) -> None:
    install = factories.make_install("acme", status="UNAUTHORIZED")
    factories.make_link(install, external_project_id="acme-1")
    html = shown("acme-boss", "acme-1")
    assert "No trainer is hired" in html
    assert "no longer accepts" in html
    assert "Linked to OpenTrain" in html
    Install.objects.update(status="DISCONNECTED")
    html = TAG.render(Context({"request": request_of(User.objects.get()), "project": "acme-1"}))
    assert "Disconnected" in html
    assert "Linked to OpenTrain" not in html


@pytest.mark.long
def test_hours_that_stay_on_this_site_are_shown_as_such(boss: Client) -> None:
    scene = full_scene()
    url = reverse("opentrain:contract", args=[scene.contract.pk])
    words = (
        "Hours are tracked elsewhere: only tasks and labels are reported. The hours that are shown here stay"
    )
    assert words not in text_of(boss.get(url))
    assert "of them not reported" not in home(boss)
    ProjectLink.objects.filter(pk=scene.link.pk).update(hours_tracked_elsewhere=True)
    DailyUsage.objects.filter(status=DailyUsage.Status.REPORTED).update(hours_withheld=True)
    text = text_of(boss.get(url))
    assert words in text
    assert text.count("1:00 not reported") == 1
    assert "4:00 1:00 of them not reported" in home(boss)


@pytest.mark.long
def test_hourly_contracts_on_a_site_without_a_clock_are_pointed_out(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = full_scene()
    Contract.objects.filter(pk=scene.contract.pk).update(payment_type="PAY_PER_HOUR")
    url = reverse("opentrain:contract", args=[scene.contract.pk])
    words = "This platform measures no time"
    assert words not in text_of(boss.get(url)) + home(boss)
    monkeypatch.setattr(OpenTrainAdapter, "measures_time", False)
    assert f"{words}, and this contract is paid by the hour: no hours are reported." in text_of(boss.get(url))
    assert f"{words}: no hours of 1 contract are reported." in home(boss)
