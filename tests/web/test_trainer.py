"""The trainer's own pages: their hours under each of their contracts, and nothing of others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse
from django.utils import timezone

from django_opentrain import urls
from django_opentrain.adapters import AdapterError
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
)
from tests import factories
from tests.web.adapter import NamesAdapter
from tests.web.conftest import Visitor
from tests.web.markup import page_of, text_of
from tests.web.test_connect import send
from tests.web.test_days import hire
from tests.web.test_decorators import ask, check_markup

MARIA = "usr_maria"
WORK = "/opentrain/work/"
#: What takes no GET.
POSTS = {"work-object", "work-withdraw"}


@pytest.fixture(autouse=True)
def _observing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NamesAdapter, "observes_work", True)


@pytest.fixture
def maria(visitor: Visitor) -> Client:
    """A trainer whose account was made for her."""
    client = visitor("maria")
    factories.make_trainer_account(User.objects.get(username="maria"), opentrain_user_id=MARIA)
    return client


def worked(tenant: str = "acme", **values: Any) -> AccessGrant:
    """Under a contract of hers, with ten minutes today."""
    grant = hire(tenant, opentrain_user_id=MARIA, **values)
    factories.make_usage(
        grant.contract, timezone.now().date(), total_seconds=600, tasks_completed=7, labels_completed=1234
    )
    factories.make_work(grant, timezone.now(), object_id=f"task of {tenant}", access_since=timezone.now())
    return grant


def pages_of(contract: Contract) -> Iterator[tuple[str, str]]:
    """Name and URL of each page for trainers."""
    for pattern in urls.urlpatterns:
        route = str(pattern.pattern)
        if isinstance(pattern, URLPattern) and route.startswith("work/") and pattern.name not in POSTS:
            keys: dict[str, object] = {"pk": contract.pk} if "<int:pk>" in route else {}
            if "<str:day>" in route:
                keys["day"] = timezone.now().date().isoformat()
            yield str(pattern.name), reverse(f"opentrain:{pattern.name}", kwargs=keys)


def read(response: Any) -> str:
    return b"".join(response).decode() if response.streaming else response.content.decode()


def test_a_trainer_sees_their_contracts_and_today(maria: Client) -> None:
    grant = worked()
    Contract.objects.update(
        payment_type="PAY_PER_HOUR",
        funded_volume=Decimal(40),
        consumed_volume=Decimal("34.5"),
        remaining_volume=Decimal("5.5"),
        budget_updated_at=timezone.now(),
    )
    page = page_of(maria.get(WORK))
    check_markup(page)
    assert (
        f"{grant.contract} Invoices Funded 34.5 of 40 funded hours used (0 %) 34.5 of 40 funded hours used (0 %)"
        " 5.5 funded hours are left. Work in Invoices Hours today 0:10 Tasks 7 Labels 1,234" in page.text
    )
    page = page_of(maria.get(reverse("opentrain:work-contract", args=[grant.contract_id])))
    check_markup(page)
    assert "34.5 of 40 funded hours used" in page.text
    assert "0:10 7 1,234 To be reported" in page.text
    assert reverse("opentrain:home") not in [a.attributes["href"] for a in page.all("a")]


def test_a_trainer_has_a_way_into_the_projects_that_are_open_to_them(maria: Client) -> None:
    grant = worked()
    pages = WORK, reverse("opentrain:work-contract", args=[grant.contract_id])

    def ways() -> list[list[str]]:
        found = [page_of(maria.get(url)).all("a") for url in pages]
        return [[a.attributes["href"] for a in each if a.text == "Work in Invoices"] for each in found]

    assert ways() == [[grant.link.external_project_url]] * 2
    ProjectLink.objects.update(external_project_url="javascript:alert(1)")
    assert ways() == [[], []]
    ProjectLink.objects.update(external_project_url="https://annotate.example/projects/1/")
    AccessGrant.objects.update(desired=AccessGrant.Desired.PAUSED)
    assert ways() == [[], []]


@pytest.mark.parametrize(
    ("state", "words"),
    [("OK", "Funded"), ("LOW", "Low"), ("DEPLETED", "what you do now isn't funded")],
)
def test_a_trainer_reads_how_the_budget_is(maria: Client, state: str, words: str) -> None:
    grant = worked()
    Contract.objects.update(
        budget_state=state, funded_volume=Decimal(40), budget_updated_at=timezone.now(), consumed_fraction=1
    )
    for url in (WORK, reverse("opentrain:work-contract", args=[grant.contract_id])):
        assert words in text_of(maria.get(url))
        assert ("isn't funded" in text_of(maria.get(url))) is (state == "DEPLETED")


def test_a_trainer_is_told_that_work_is_paused(maria: Client) -> None:
    grant = worked()
    words = "Work is paused until the contract is funded again."
    pages = WORK, reverse("opentrain:work-contract", args=[grant.contract_id])
    assert [words in text_of(maria.get(url)) for url in pages] == [False, False]
    AccessGrant.objects.update(desired=AccessGrant.Desired.PAUSED, state=AccessGrant.State.PAUSED)
    for url in pages:
        page = page_of(maria.get(url))
        check_markup(page)
        assert words in page.text


def test_what_was_refused_is_said_with_its_reason(maria: Client) -> None:
    grant = worked()
    DailyUsage.objects.update(status="REFUSED", error="The day is closed.", error_code="BAD_REQUEST")
    names = dict(pages_of(grant.contract))
    for name in ("work-contract", "work-day", "work-contract-csv"):
        assert "The day is closed." in read(maria.get(names[name]))


def test_nothing_of_others_under_the_same_contract(maria: Client) -> None:
    """João was hired, and works with her: her rows have her id."""
    grant = worked()
    joao = factories.make_participant(grant.contract.install, display_name="João P.")
    shared = factories.make_grant(grant.contract, grant.link, joao)
    Contract.objects.update(trainer=joao)
    DailyUsage.objects.update(worker_id=MARIA)
    factories.make_usage(grant.contract, timezone.now().date(), total_seconds=7777, tasks_completed=4321)
    factories.make_work(shared, timezone.now(), object_id="task of joao")
    for name, url in pages_of(grant.contract):
        text = read(maria.get(url))
        foreign = ["João", "4321", "4,321", "7777", "task of joao", joao.opentrain_user_id]
        assert [word for word in foreign if word in text] == [], name
    day = dict(pages_of(grant.contract))["work-day"]
    assert "task of acme" in read(maria.get(day, {"trainer": joao.opentrain_user_id}))
    assert "task of joao" not in read(maria.get(day, {"trainer": joao.opentrain_user_id}))


def test_another_trainers_contracts_are_not_found(maria: Client) -> None:
    worked()
    other = hire(display_name="João P.")
    for name, url in pages_of(other.contract):
        response = ask(maria, "GET", url)
        assert response.status_code == (200 if name == "work" else 404), name
        if response.status_code == 404:
            check_markup(page_of(response))
            assert "This is no work of yours" in text_of(response)


@pytest.mark.parametrize("key", [0, 10**30])
def test_keys_that_cannot_be_are_not_found(maria: Client, key: int) -> None:
    assert maria.get(f"{WORK}{key}/").status_code == 404


def test_who_is_no_trainer_is_told_so(visitor: Visitor) -> None:
    grant = worked()
    for username in ("acme-boss", "stranger"):
        client = visitor(username)
        for _name, url in pages_of(grant.contract):
            response = client.get(url)
            assert response.status_code == 404
            assert "No work is recorded for your account" in text_of(response)
            check_markup(page_of(response))


def test_anonymous_visitors_are_sent_to_the_login_page() -> None:
    for _name, url in pages_of(worked().contract):
        response = Client().get(url)
        assert response.status_code == 302
        assert response["Location"] == f"{settings.LOGIN_URL}?next={url}"


def test_the_pages_have_our_headers(maria: Client) -> None:
    for _name, url in pages_of(worked().contract):
        response = maria.get(url)
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert response["X-Frame-Options"] == "DENY"
        assert "no-store" in response["Cache-Control"]


def test_an_account_that_one_customer_consented_to_shows_that_ones_work(maria: Client) -> None:
    """That it is hers, the others have only this customer's word for."""
    here, there = worked(), worked("globex")
    TrainerAccount.objects.update(bound_for="acme", consented_by="acme-boss")
    assert [each[0].pk for each in maria.get(WORK).context["contracts"]] == [here.contract_id]
    assert maria.get(reverse("opentrain:work-contract", args=[there.contract_id])).status_code == 404
    TrainerAccount.objects.update(bound_for="")
    assert len(maria.get(WORK).context["contracts"]) == 2


class TestByTheAccountsKey:
    """On sites whose trainers' accounts are not ours to remember."""

    def test_a_trainer_with_access(self, visitor: Visitor) -> None:
        client = visitor("maria")
        grant = worked()
        AccessGrant.objects.update(host_user_ref=str(User.objects.get(username="maria").pk))
        assert len(client.get(WORK).context["contracts"]) == 1
        AccessGrant.objects.update(state=AccessGrant.State.REVOKED)
        assert client.get(WORK).status_code == 404
        AccessGrant.objects.update(state=AccessGrant.State.GRANTED, host_user_ref="")
        assert client.get(WORK).status_code == 404
        assert grant.contract_id

    def test_a_key_that_would_be_two_trainers_is_neithers(self, visitor: Visitor) -> None:
        client = visitor("maria")
        worked()
        hire()
        AccessGrant.objects.update(host_user_ref=str(User.objects.get(username="maria").pk))
        assert client.get(WORK).status_code == 404

    @pytest.mark.parametrize("key", [None, ""])
    def test_a_site_where_users_have_none(
        self, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, key: str | None
    ) -> None:
        monkeypatch.setattr(NamesAdapter, "account_key", lambda _adapter, _request: key)
        worked()
        AccessGrant.objects.update(host_user_ref="")
        assert visitor("maria").get(WORK).status_code == 404


def test_the_number_of_queries_does_not_grow(maria: Client) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert maria.get(url).status_code == 200
        return len(captured)

    grant = worked()
    pages = [url for name, url in pages_of(grant.contract) if "csv" not in name]
    queries(WORK)
    few = [queries(url) for url in pages]
    for number in range(12):
        worked()
        factories.make_usage(grant.contract, timezone.now().date() - timedelta(days=1 + number))
        factories.make_work(grant, timezone.now())
    assert [queries(url) for url in pages] == few
    assert max(few) <= 13


def test_their_files_are_theirs(maria: Client) -> None:
    names = dict(pages_of(worked().contract))
    assert ",600,0.1667,7,1234," in read(maria.get(names["work-contract-csv"]))
    assert "task of acme" in read(maria.get(names["work-day-csv"]))


TAG = Template("{% load opentrain %}{% opentrain_my_work %}")


def tag(user: User | AnonymousUser) -> str:
    request = RequestFactory().get("/")
    request.user = user
    return TAG.render(Context({"request": request})).strip()


def test_the_hosts_pages_link_to_it_for_trainers(maria: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tag(User.objects.get()) == f'<a class="opentrain-my-work" href="{WORK}">My work for OpenTrain</a>'
    assert tag(AnonymousUser()) == ""
    assert tag(factories.make_user("acme-boss")) == ""

    def fail(*_: object) -> None:
        raise AdapterError("It is down.")

    monkeypatch.setattr(NamesAdapter, "account_key", fail)
    assert tag(factories.make_user("ken")) == ""
    assert maria.get(WORK).status_code == 200


class TestObjections:
    @pytest.mark.long
    def test_a_trainer_objects_the_customer_answers(self, maria: Client, boss: Client) -> None:
        grant = worked()
        day = dict(pages_of(grant.contract))["work-day"]
        check_markup(page_of(maria.get(day)))
        response = send(maria, f"{day}object/", text="<b>Two</b> hours are missing.")
        assert response.status_code == 302
        page = page_of(maria.get(response["Location"]))
        check_markup(page)
        assert "Your objection is stored." in page.text
        assert "<b>Two</b> hours are missing." in page.text
        assert "Object to this day" not in page.text
        contract = reverse("opentrain:contract", args=[grant.contract_id])
        assert "Trainers object to these days" in text_of(boss.get(contract))
        assert "A trainer objects to 1 day of work." in text_of(boss.get("/opentrain/"))
        assert "Labels" in text_of(maria.get(dict(pages_of(grant.contract))["work-contract"]))
        row = UsageObjection.objects.get()
        customers = page_of(boss.get(day.replace("/work/", "/contracts/")))
        check_markup(customers)
        assert "<b>Two</b> hours are missing." in customers.text
        response = send(
            boss, reverse("opentrain:answer-objection", args=[row.pk]), text="They are there now."
        )
        assert "answered and closed" in text_of(boss.get(response["Location"]))
        text = text_of(maria.get(day))
        assert "They are there now." in text
        assert "acme-boss" not in text
        assert "Trainers object" not in text_of(boss.get(contract))
        assert "Objection answered" in text_of(boss.get(contract))

    def test_they_can_withdraw_their_own_and_no_others(self, maria: Client) -> None:
        grant = worked()
        theirs = factories.make_objection(grant.contract, timezone.now().date())
        others = factories.make_objection(
            grant.contract, timezone.now().date(), opentrain_user_id="usr_other", text="a secret"
        )
        assert "a secret" not in text_of(maria.get(dict(pages_of(grant.contract))["work-day"]))
        for row, status in ((theirs, 302), (others, 404)):
            assert send(maria, f"{WORK}objections/{row.pk}/withdraw/").status_code == status
            row.refresh_from_db()
            assert row.is_open == (status == 404)
        assert send(maria, f"{WORK}objections/{10**30}/withdraw/").status_code == 404
        again = send(maria, f"{WORK}objections/{theirs.pk}/withdraw/")
        assert again.status_code == 409
        assert "closed already" in text_of(again)

    def test_not_to_others_work(self, maria: Client, visitor: Visitor) -> None:
        worked()
        other = hire()
        day = timezone.now().date().isoformat()
        assert send(maria, f"{WORK}{other.contract_id}/days/{day}/object/", text="Mine.").status_code == 404
        assert (
            send(visitor("ken"), f"{WORK}{other.contract_id}/days/{day}/object/", text="x").status_code == 404
        )
        assert not UsageObjection.objects.exists()

    def test_a_form_without_a_csrf_token_is_refused(self, maria: Client) -> None:
        day = dict(pages_of(worked().contract))["work-day"]
        assert maria.post(f"{day}object/", {"text": "No token."}).status_code == 403

    def test_to_a_day_that_is_missing(self, maria: Client) -> None:
        grant = worked()
        contract = dict(pages_of(grant.contract))["work-contract"]
        response = maria.get(contract, {"day": "2026-01-02"})
        assert response["Location"] == f"{contract}days/2026-01-02/"
        assert "Object to this day" in text_of(maria.get(response["Location"]))
        assert maria.get(contract, {"day": "tomorrow"}).status_code == 404
