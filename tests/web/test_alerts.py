"""The most urgent thing first: a dead connection, then one list of alerts, each with the way to its rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install
from django_opentrain.platform import catalog
from tests import factories
from tests.web.markup import page_of, text_of
from tests.web.scenes import full_scene

HOME = "/opentrain/"
CONTRACTS = "/opentrain/contracts/"


def order(client: Client) -> list[str]:
    """The parts at the top of the home page, as they follow each other."""
    page = page_of(client.get(HOME))
    parts = {"alerts": "alerts", "hero": "hero"}
    return [
        parts[name]
        for element in page.elements
        for name in element.attributes.get("class", "").split()
        if name in parts
    ]


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ({}, "alerts"),
        ({"pii_consent": False}, "alerts"),
        ({"status": "UNAUTHORIZED", "refused_at": timezone.now()}, "hero"),
        ({"last_error_code": "OPENTRAIN_FORBIDDEN", "last_error": "Off."}, "hero"),
        ({"status": "REVOKED", "revoked_at": timezone.now()}, "hero"),
        ({"status": "DISCONNECTED"}, "hero"),
    ],
)
def test_a_dead_connection_stands_above_all_else(boss: Client, values: dict[str, Any], first: str) -> None:
    scene = full_scene()
    Install.objects.filter(pk=scene.install.pk).update(**values)
    assert order(boss)[0] == first
    buttons = [each.text for each in page_of(boss.get(HOME)).all("button", "a")]
    if first == "hero":
        assert buttons.index("Connect again") < buttons.index("Review")


def ways(client: Client) -> dict[str, str]:
    return {each.text: each.url for each in client.get(HOME).context["alerts"]}


@pytest.mark.parametrize(
    ("contract", "grant", "text", "place"),
    [
        ({"budget_state": "LOW"}, {}, "The budget of 1 contract is running low.", "budget"),
        ({"collect_error": "no table"}, {}, "The work of 1 contract can't be collected.", "work"),
        ({}, {"state": "FAILED"}, "1 trainer could not be given access.", "access"),
    ],
)
def test_an_alert_leads_to_the_rows_that_it_is_about(
    boss: Client, contract: dict[str, str], grant: dict[str, str], text: str, place: str
) -> None:
    install = factories.make_install("acme")
    link, trainer = factories.make_link(install), factories.make_participant(install)
    one = factories.make_contract(install, [link], **contract)
    factories.make_grant(one, link, trainer, **grant)
    assert ways(boss) == {text: f"{CONTRACTS}{one.pk}/#{place}"}
    page = page_of(boss.get(ways(boss)[text]))
    assert place in {element.attributes.get("id") for element in page.elements}


def test_an_alert_about_several_contracts_leads_to_their_list_and_each_to_its_rows(boss: Client) -> None:
    install = factories.make_install("acme")
    link = factories.make_link(install)
    low = [factories.make_contract(install, [link], budget_state="LOW") for _ in range(2)]
    url = ways(boss)["The budgets of 2 contracts are running low."]
    assert url == f"{CONTRACTS}?status=budget-low"
    links = {a.attributes["href"] for a in page_of(boss.get(url)).all("a")}
    assert {f"{CONTRACTS}{each.pk}/#budget" for each in low} <= links


def test_days_that_opentrain_refused_are_listed_where_their_alert_leads(boss: Client) -> None:
    scene = full_scene()
    url = ways(boss)["OpenTrain has refused 1 day of work."]
    assert url == f"{CONTRACTS}{scene.contract.pk}/#work"
    row = DailyUsage.objects.get(status=DailyUsage.Status.REFUSED)
    page = page_of(boss.get(url))
    assert "OpenTrain refused these days" in page.text
    assert "Trainer 0: OpenTrain refused this: totalSeconds is out of range" in page.text or (
        "totalSeconds is out of range" in page.text
    )
    day = reverse("opentrain:day", args=[scene.contract.pk, row.work_date.isoformat()])
    assert [a.attributes["href"] for a in page.all("a")].count(day) == 2  # above, and among the days
    row.status = DailyUsage.Status.REPORTED
    row.save()
    assert "OpenTrain refused these days" not in text_of(boss.get(url))


def test_what_is_missing_and_what_failed_are_alerts_like_all_others(boss: Client) -> None:
    factories.make_install(
        "acme",
        scopes=["contracts:read"],
        pii_consent=False,
        reconcile_summary={"problems": ["the list was cut"]},
    )
    assert ways(boss) == {
        "Some permissions are missing": "#missing",
        "Work Emails are not shared": "#missing",
        "1 item could not be synced with OpenTrain.": "#problems",
    }
    page = page_of(boss.get(HOME))
    assert [e.tag for e in page.elements if "note" in e.attributes.get("class", "").split()] == ["li"] * 3
    assert {"missing", "problems"} <= {e.attributes.get("id") for e in page.elements}


@pytest.mark.parametrize(
    ("consent", "scopes", "words"),
    [
        (True, catalog.SCOPES, "Work Emails shared"),
        (False, catalog.SCOPES, "Work Emails not shared"),
        (True, [s for s in catalog.SCOPES if s != catalog.PARTICIPANTS_EMAIL], "Work Emails not shared"),
    ],
)
def test_work_emails_are_shared_by_consent_and_scope_alone(
    boss: Client, consent: bool, scopes: Any, words: str
) -> None:
    factories.make_install("acme", pii_consent=consent, scopes=list(scopes))
    assert f"{words} Last synced" in text_of(boss.get(HOME))


# After the token was pasted ---------------------------------------------------------------------


def test_the_page_reloads_itself_until_the_connection_is_set_up(boss: Client) -> None:
    install = factories.make_install("acme")
    url, seconds = f"{HOME}?done=connected&install={install.pk}&setup=1", []
    response = boss.get(url)
    while "Refresh" in response:
        assert "reloads automatically" in text_of(response)
        assert not page_of(response).all("select")  # nothing that a reload would empty
        wait, url = response["Refresh"].split("; url=")
        seconds.append(int(wait))
        response = boss.get(url)
    assert 5 <= len(seconds) <= 10
    assert 30 <= sum(seconds) <= 60
    assert "Reload this page in a few minutes" in text_of(response)


def test_the_page_is_whole_once_the_connection_is_set_up(boss: Client) -> None:
    install = factories.make_install("acme")
    url = f"{HOME}?done=connected&install={install.pk}&setup=2&next=/projects/"
    response = boss.get(url)
    assert "setup=3" in response["Refresh"]
    assert "next=%2Fprojects%2F" in response["Refresh"]
    install.reconciled_at = timezone.now()
    install.save()
    response = boss.get(url)
    assert "Refresh" not in response
    assert "Connected to OpenTrain. Continue where you left off" in text_of(response)


@pytest.mark.parametrize(
    "values",
    [{"last_error": "No answer."}, {"status": "UNAUTHORIZED"}, {"status": "DISCONNECTED"}],
)
def test_what_reloading_doesnt_help_is_shown_at_once(boss: Client, values: dict[str, str]) -> None:
    install = factories.make_install("acme", **values)
    assert "Refresh" not in boss.get(f"{HOME}?install={install.pk}&setup=1")


@pytest.mark.parametrize("setup", ["", "0", "99", "-1", "x", "٣", "9" * 5000])
def test_no_page_reloads_endlessly_nor_unasked(boss: Client, setup: str) -> None:
    factories.make_install("acme")
    response = boss.get(HOME, {"setup": setup} if setup else {})
    assert "Refresh" not in response


@pytest.mark.long
def test_a_contract_that_ended_is_no_longer_called_out(boss: Client) -> None:
    scene = full_scene()
    AccessGrant.objects.update(state=AccessGrant.State.GRANTED)
    Contract.objects.filter(pk=scene.contract.pk).update(status="ended")
    assert "The budget of 1 contract is running low." not in ways(boss)
