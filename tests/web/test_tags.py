"""Tags for a host's own pages: a banner for a budget that ends, and the customer's connection."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.http import HttpRequest
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain.adapters import AdapterError
from django_opentrain.models import AccessGrant, Contract, Install
from django_opentrain.web.context import project_budget
from django_opentrain.web.presenters import budgets
from tests import factories
from tests.web.adapter import NamesAdapter
from tests.web.test_days import hire

BANNER = Template("{% load opentrain %}{% opentrain_budget_banner project %}")
CONNECTION = Template("{% load opentrain %}{% opentrain_connection %}")
USED_UP = {"budget_state": "DEPLETED", "consumed_fraction": Decimal(1)}


def request_of(username: str | None) -> HttpRequest:
    request = RequestFactory().get("/projects/1/?tab=all")
    request.user = AnonymousUser()
    if username:
        found = User.objects.filter(username=username).first()
        request.user = found or factories.make_user(username)
    return request


def shown(template: Template, username: str | None, project: object = "acme-1") -> str:
    html = template.render(Context({"request": request_of(username), "project": project}))
    assert "style=" not in html
    return " ".join(html.split())


@pytest.fixture
def grant(db: None) -> AccessGrant:
    """Maria's, who was hired by "acme"."""
    made = hire(opentrain_user_id="usr_maria")
    factories.make_trainer_account(factories.make_user("maria"), opentrain_user_id="usr_maria")
    Contract.objects.update(
        payment_type="PAY_PER_HOUR",
        funded_volume=Decimal(40),
        remaining_volume=Decimal("5.5"),
        budget_updated_at=timezone.now(),
    )
    return made


@pytest.mark.parametrize("username", ["maria", "acme-boss"])
def test_no_banner_while_the_budget_is_fine(grant: AccessGrant, username: str) -> None:
    assert shown(BANNER, username) == ""
    budget = project_budget(request_of(username), "acme-1")
    assert budget is not None
    assert (budget.state, budget.tone, budget.text) == ("OK", "ok", "5.5 funded hours are left.")


def test_what_is_used_and_what_is_left_are_what_is_funded(grant: AccessGrant) -> None:
    # 25 hours and a second of 40.
    used = Decimal(25) + Decimal(1) / 3600
    Contract.objects.update(consumed_volume=used, remaining_volume=40 - used)
    contract = Contract.objects.get()
    assert budgets.describe(contract).text.startswith("25 of 40 funded hours used")
    assert budgets.left(contract) == "15 funded hours are left."


@pytest.mark.parametrize(
    ("username", "values", "words"),
    [
        ("maria", {"budget_state": "LOW"}, "The funded work is running low. 5.5 funded hours are left."),
        ("maria", USED_UP, "The funded work is done. Ask your customer before you continue"),
        ("acme-boss", {"budget_state": "LOW"}, "The budget of 1 contract in this project is running low."),
        ("acme-boss", USED_UP, "The budget of 1 contract in this project is used up. Fund it on OpenTrain"),
    ],
)
def test_a_banner_says_what_the_budget_is_and_what_to_do(
    grant: AccessGrant, username: str, values: dict[str, Any], words: str
) -> None:
    Contract.objects.update(**values)
    html = shown(BANNER, username)
    assert words in html
    assert 'data-tone="warn"' in html if values["budget_state"] == "LOW" else 'data-tone="bad"' in html
    page = "work" if username == "maria" else "contracts"
    assert f'href="/opentrain/{page}/{grant.contract_id}/"' in html


def test_a_trainer_whose_work_is_paused_reads_so(grant: AccessGrant) -> None:
    Contract.objects.update(**USED_UP)
    AccessGrant.objects.update(desired="PAUSED", state="PAUSED")
    assert "Your work here is paused until the customer funds more." in shown(BANNER, "maria")
    budget = project_budget(request_of("maria"), "acme-1")
    assert budget is not None
    assert budget.is_paused


@pytest.mark.parametrize(
    ("username", "project"),
    [
        ("acme-clerk", "acme-1"),
        ("other-boss", "acme-1"),
        ("stranger", "acme-1"),
        (None, "acme-1"),
        ("maria", "acme-2"),
        ("acme-boss", "acme-2"),
    ],
)
def test_others_and_other_projects_have_no_banner(
    grant: AccessGrant, username: str | None, project: str
) -> None:
    Contract.objects.update(**USED_UP)
    assert shown(BANNER, username, project) == ""


def test_a_trainer_reads_of_no_colleagues_budget(grant: AccessGrant) -> None:
    Contract.objects.update(**USED_UP)
    joao = factories.make_participant(grant.contract.install, opentrain_user_id="usr_joao")
    fine = factories.make_contract(grant.contract.install, [grant.link], trainer=joao)
    factories.make_grant(fine, grant.link, joao)
    factories.make_trainer_account(factories.make_user("joao"), opentrain_user_id="usr_joao")
    assert shown(BANNER, "joao") == ""
    grant.desired = AccessGrant.Desired.REVOKED
    grant.save()
    assert shown(BANNER, "maria") == ""
    assert "1 contract" in shown(BANNER, "acme-boss")


def test_where_our_pages_are_closed_a_banner_has_no_link(grant: AccessGrant) -> None:
    Contract.objects.update(**USED_UP)
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "PAGES": []}):
        for username in ("maria", "acme-boss"):
            html = shown(BANNER, username)
            assert "opentrain-banner" in html
            assert "href" not in html


@pytest.mark.parametrize("template", [BANNER, CONNECTION])
def test_a_hosts_page_doesnt_fail_because_of_us(
    grant: AccessGrant, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> str:
        raise AdapterError("no tenants today")

    monkeypatch.setattr(NamesAdapter, "get_tenant", broken)
    assert shown(template, "acme-boss") == ""


@pytest.mark.parametrize("username", ["maria", "acme-boss"])
def test_the_number_of_queries_is_constant(grant: AccessGrant, username: str) -> None:
    Contract.objects.update(**USED_UP)
    request_of(username)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(BANNER, username)
        return len(captured)

    before = queries()
    trainer = grant.participant
    for _ in range(5):
        contract = factories.make_contract(
            grant.contract.install, [grant.link], trainer=trainer, budget_state="LOW"
        )
        factories.make_grant(contract, grant.link, trainer)
    assert queries() == before <= 5


# The connection -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words", "button"),
    [
        (None, "Not connected", "Connect to OpenTrain</button>"),
        ({"reconciled_at": timezone.now()}, "<strong>Connected</strong>", None),
        ({"status": "UNAUTHORIZED"}, "no longer accepts", "Connect again</button>"),
        ({"status": "DISCONNECTED"}, "You disconnected", "Connect again</button>"),
        ({"status": "PENDING", "token": None}, "Almost connected", "Paste the token</a>"),
    ],
)
def test_the_connection_is_said_with_its_button(
    db: None, values: dict[str, Any] | None, words: str, button: str | None
) -> None:
    if values is not None:
        factories.make_install("acme", **values)
    html = shown(CONNECTION, "acme-boss")
    assert words in html
    assert ("<button" in html or "Paste" in html) is (button is not None)
    if button:
        assert button in html
        assert "projects/1/" in html  # the way back
    assert shown(CONNECTION, "acme-clerk") == shown(CONNECTION, "stranger") == shown(CONNECTION, None) == ""


def test_who_may_only_look_has_no_button(db: None) -> None:
    factories.make_install("acme", status=Install.Status.UNAUTHORIZED)
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": "tests.web.adapter.ViewersAdapter"}):
        html = shown(CONNECTION, "acme-viewer")
    assert "no longer accepts" in html
    assert "<button" not in html
