"""Users who act for several customers: what a page is about says for which, not the one that is current."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse

from django_opentrain.adapters import Project
from django_opentrain.models import ConsentRequest, Contract, Install, ProjectLink
from django_opentrain.services import connect
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.api.conftest import log_in, url
from tests.web.adapter import SeveralAdapter
from tests.web.conftest import Visitor
from tests.web.markup import page_of, text_of
from tests.web.test_connect import approve, path_of, send, set_out

HOME = "/opentrain/"
ADAPTER = "tests.web.adapter.SeveralAdapter"


@pytest.fixture(autouse=True)
def _several(settings: Any, _host_adapter: None) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": ADAPTER}


@pytest.fixture
def both(visitor: Visitor) -> Client:
    return visitor("both-boss")


def scene(tenant: str) -> tuple[Install, ProjectLink, Contract]:
    """A connection with a linked project, for which Maria works."""
    install = factories.make_install(tenant)
    link = factories.make_link(install, external_project_id=f"{tenant}-1")
    trainer = factories.make_participant(install)
    return install, link, factories.make_contract(install, [link], trainer=trainer, title=f"{tenant} job")


def hrefs(response: Any) -> list[str]:
    return [element.attributes.get("href", "") for element in page_of(response).all("a")]


def tag(project: str, name: str = "both-boss") -> str:
    request = RequestFactory().get("/projects/")
    request.user = User.objects.filter(username=name).first() or factories.make_user(name)
    template = Template("{% load opentrain %}{% opentrain_project_status project %}")
    return template.render(Context({"request": request, "project": project}))


def test_the_home_page_offers_each_customer_that_the_user_manages(both: Client) -> None:
    for tenant in ("acme", "beta", "gamma"):
        scene(tenant)
    text = text_of(both.get(HOME))
    assert "Acme Ltd" in text
    assert "Beta Ltd" in text
    assert "Gamma" not in text
    assert "acme job" in text
    beta = both.get(HOME, {"customer": "beta"})
    assert "beta job" in text_of(beta)
    assert "acme job" not in text_of(beta)
    assert both.get(HOME, {"customer": "gamma"}).status_code == 403
    assert both.get(HOME, {"customer": "delta"}).status_code == 404


def test_who_acts_for_one_customer_is_offered_none(boss: Client) -> None:
    scene("acme")
    scene("beta")
    response = boss.get(HOME, {"customer": "beta"})
    assert "acme job" in text_of(response)
    assert not any("customer=" in href for href in hrefs(response))


def test_links_go_on_for_the_same_customer(both: Client) -> None:
    _install, _link, contract = scene("beta")
    for at in (f"{HOME}?customer=beta", reverse("opentrain:contract", args=[contract.pk])):
        found = hrefs(both.get(at))
        assert f"{HOME}?customer=beta" in found
        assert f"{reverse('opentrain:contracts')}?customer=beta" in found
    response = both.get(reverse("opentrain:contracts"), {"customer": "beta", "status": "active"})
    assert "beta job" in text_of(response)
    assert f"{reverse('opentrain:contracts')}?status=ended&customer=beta" in hrefs(response)
    form = page_of(both.get(reverse("opentrain:download"), {"customer": "beta"}))
    assert any(field.attributes.get("value") == "beta" for field in form.all("input"))


def test_a_contract_says_whose_it_is(both: Client, visitor: Visitor) -> None:
    page = reverse("opentrain:contract", args=[scene("beta")[2].pk])
    assert "beta job" in text_of(both.get(page))
    # It also wins over what the URL says.
    assert "beta job" in text_of(both.get(page, {"customer": "acme"}))
    assert visitor("acme-boss").get(page).status_code == 404
    others = reverse("opentrain:contract", args=[scene("gamma")[2].pk])
    assert both.get(others).status_code == 403
    assert both.get(reverse("opentrain:contract", args=[scene("delta")[2].pk])).status_code == 404


def test_actions_are_the_objects_customers(both: Client, opentrain: OpenTrain) -> None:
    install = opentrain.connect("beta")
    opentrain.link("beta-1")
    answer = send(both, reverse("opentrain:verify", args=[install.pk]))
    assert answer.status_code == 302
    response = both.get(answer["Location"])
    assert "Beta project 1" in text_of(response)


def test_the_way_there_and_back_is_the_projects_customers(
    both: Client, opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = set_out(both, project="beta-2")
    assert ConsentRequest.objects.get().tenant == "beta"
    approval = approve(opentrain, parameters)
    # In another tab the user changes to another organization.
    monkeypatch.setattr(SeveralAdapter, "current", "gamma")
    response = both.get(path_of(approval.return_url))
    assert response.status_code == 302
    send(both, response["Location"], token=approval.token)
    install = Install.objects.get()
    assert (install.tenant, install.status) == ("beta", Install.Status.ACTIVE)


def test_without_a_project_the_button_says_for_whom(both: Client) -> None:
    page = page_of(both.get(HOME, {"customer": "beta"}))
    fields = {
        element.attributes["name"]: element.attributes.get("value", "") for element in page.all("input")
    }
    assert fields["customer"] == "beta"
    set_out(both, customer="beta")
    assert ConsentRequest.objects.get().tenant == "beta"
    response = send(both, reverse("opentrain:start"), customer="beta")
    assert Install.objects.get(status=Install.Status.PENDING).tenant == "beta"
    assert both.get(response["Location"]).status_code == 200
    assert send(both, "/opentrain/connect/", customer="gamma").status_code == 403
    assert send(both, "/opentrain/connect/", customer="delta").status_code == 404


def test_begin_asks_for_the_tenant_that_is_named_or_whose_project_it_is() -> None:
    request = RequestFactory().post("/")
    request.user = factories.make_user("both-boss")
    connect.begin(request, "beta-1")
    connect.begin(request, tenant="beta")
    connect.begin(request)
    assert [row.tenant for row in ConsentRequest.objects.order_by("pk")] == ["beta", "beta", "acme"]
    for tenant in ("gamma", "delta"):
        with pytest.raises(PermissionDenied):
            connect.begin(request, tenant=tenant)
    with pytest.raises(PermissionDenied):
        connect.begin(request, "gamma-1")
    with pytest.raises(ValueError, match="not one of yours"):
        connect.begin(request, "beta-1", tenant="acme")


def test_the_status_of_another_customers_project_is_its_own() -> None:
    scene("beta")
    html = tag("beta-1")
    assert 'data-linked="yes"' in html
    assert "beta job" in html
    assert "No trainer" not in html
    assert "?customer=beta" in tag("beta-2")
    assert tag("gamma-1").strip() == ""
    assert tag("unknown").strip() == ""
    assert 'data-linked="no"' in tag("beta-1", name="acme-boss"), (
        "the project of one customer is never asked for"
    )


def test_all_links_of_a_project_are_in_its_status() -> None:
    """A customer with two OpenTrain organizations: the newer one doesn't hide who works for the older."""
    _install, _link, _contract = scene("acme")
    newer = factories.make_install("acme")
    factories.make_link(newer, external_project_id="acme-1")
    assert "acme job" in tag("acme-1")


def test_a_project_that_another_connection_has_linked_is_not_offered(both: Client) -> None:
    older, _link, _contract = scene("acme")
    newer = factories.make_install("acme")
    response = both.get(HOME)
    text = text_of(response)
    assert "acme job" in text, "those who work through the older connection are hired"
    assert f"Linked through another connection: {older.opentrain_id}" in text
    options = [element.attributes.get("value") for element in page_of(response).all("option")]
    assert "acme-2" in options
    assert "acme-1" not in options
    answer = send(
        both,
        reverse("opentrain:link", args=[newer.pk]),
        project="acme-1",
        job_id="job_1",
        provisioning_mode="PARTNER_WEBHOOK",
    )
    assert answer.status_code == 409
    assert "linked through another connection" in text_of(answer)
    assert not ProjectLink.objects.filter(install=newer).exists()


def test_an_api_call_names_its_customer(opentrain: OpenTrain) -> None:
    acme, beta = scene("acme")[0], scene("beta")[0]
    client = log_in("both-boss")
    named: Any = {"HTTP_OPENTRAIN_CUSTOMER": "beta"}
    current = client.get(url("install-list")).json()["results"]
    assert [row["id"] for row in current] == [acme.pk]
    other = client.get(url("install-list"), **named).json()["results"]
    assert [row["id"] for row in other] == [beta.pk]
    for tenant in ("gamma", "delta"):
        assert client.get(url("install-list"), HTTP_OPENTRAIN_CUSTOMER=tenant).status_code == 403
    answer = client.post(url("install-connect"), {}, content_type="application/json", **named)
    assert parse_qs(urlsplit(answer.json()["consentUrl"]).query)["state"]
    assert ConsentRequest.objects.get().tenant == "beta"


def test_a_refused_form_goes_to_the_same_connection_again(both: Client) -> None:
    older = scene("beta")[0]
    factories.make_install("beta")
    action = reverse("opentrain:link", args=[older.pk])
    response = send(both, action, project="unknown")
    assert response.status_code == 400
    actions = [form.attributes.get("action", "") for form in page_of(response).all("form")]
    assert action in actions
    assert [each for each in actions if "/links/" in each] == [action]


def test_the_host_is_asked_once_for_whom_a_page_acts(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer may be a query."""
    asked, get_tenant = [], SeveralAdapter.get_tenant

    def counted(adapter: SeveralAdapter, request: HttpRequest) -> str | None:
        asked.append(request.path)
        return get_tenant(adapter, request)

    monkeypatch.setattr(SeveralAdapter, "get_tenant", counted)
    boss.get(HOME)
    assert asked == [HOME]


def test_a_projects_status_costs_who_may_not_see_it_no_query(django_assert_num_queries: Any) -> None:
    scene("acme")
    factories.make_user("acme-clerk")
    with django_assert_num_queries(1):  # the user
        assert tag("acme-1", name="acme-clerk").strip() == ""


def test_a_named_customer_wins_over_a_project_id_that_two_have(
    both: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SeveralAdapter, "get_project", lambda *_arguments: Project(id="1", name="One"))
    set_out(both, project="1", customer="beta")
    assert ConsentRequest.objects.get().tenant == "beta"


def test_one_text_is_no_list_of_customers(both: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SeveralAdapter, "get_tenants", lambda *_arguments: "beta")
    response = both.get(HOME)
    assert response.status_code == 409
    assert "get_tenants a list of texts" in text_of(response)
