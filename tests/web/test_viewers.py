"""Users who may look and not act: on each page, and in each call of the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse

from django_opentrain.models import Contract, Install, WebhookEndpoint
from tests import factories
from tests.api.conftest import log_in
from tests.api.test_access import OPERATIONS
from tests.web.adapter import NamesAdapter
from tests.web.conftest import Visitor
from tests.web.markup import text_of
from tests.web.scenes import full_scene
from tests.web.test_decorators import PAGES, ask, url_of

#: What they can see. All else is for managers: the pages that ask before they act, too.
SHOWN = {
    "home",
    "contracts",
    "contract",
    "day",
    "contract-csv",
    "day-csv",
    "days-csv",
    "download",
}
#: What the pages' only form for them leads to.
SEARCHES = {reverse("opentrain:days-csv")}


@pytest.fixture(autouse=True)
def _viewers(settings: Any, _host_adapter: object) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.web.adapter.ViewersAdapter"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("name", "route"), PAGES)
def test_a_viewer_sees_the_pages_that_only_show(visitor: Visitor, name: str, route: str, method: str) -> None:
    query = "?since=2026-01-01&until=2026-01-31" if name == "days-csv" else ""
    response = ask(visitor("acme-viewer"), method, url_of(name, route, full_scene()) + query)
    if method == "GET" and name in SHOWN:
        assert response.status_code == 200
    else:
        assert response.status_code in (403, 405)
        if response.status_code == 403:
            assert "Only managers" in text_of(response)


@pytest.mark.parametrize("name", sorted(SHOWN - {"contract-csv", "day-csv", "days-csv"}))
def test_a_viewers_pages_have_nothing_to_act_with(visitor: Visitor, name: str) -> None:
    scene = full_scene()
    WebhookEndpoint.objects.update(status=WebhookEndpoint.Status.ACTIVE)
    factories.make_objection(scene.contract, scene.objection.work_date)
    for client, acts in ((visitor("acme-boss"), True), (visitor("acme-viewer"), False)):
        html = ask(client, "GET", url_of(name, dict(PAGES)[name], scene)).content.decode()
        targets = [url_of(page, route, scene) for page, route in PAGES if page not in SHOWN]
        found = [url for url in targets if f'"{url}' in html]
        assert "<main" in html
        if not acts:
            assert (found, 'method="post"' in html) == ([], False)
        elif name in ("home", "contract", "day"):
            assert 'method="post"' in html


def test_a_viewer_of_a_customer_who_is_not_connected_can_not_connect(visitor: Visitor) -> None:
    text = ask(visitor("acme-viewer"), "GET", reverse("opentrain:home")).content.decode()
    assert "Not connected" in text
    assert "<form" not in text


def test_a_viewer_is_not_invited_to_hire(visitor: Visitor) -> None:
    install = factories.make_install("acme")
    factories.make_contract(install, status=Contract.Status.ENDED)
    home = reverse("opentrain:home")
    assert "Hire trainers" in ask(visitor("acme-boss"), "GET", home).content.decode()
    html = ask(visitor("acme-viewer"), "GET", home).content.decode()
    assert "There are no active contracts." in html
    assert ("Hire trainers" in html, "Go to OpenTrain" in html) == (False, False)


def test_a_viewer_is_not_asked_for_more_budget(visitor: Visitor) -> None:
    scene = full_scene()
    page = reverse("opentrain:contract", args=[scene.contract.pk])
    assert "Fund more" in ask(visitor("acme-boss"), "GET", page).content.decode()
    assert "Fund more" not in ask(visitor("acme-viewer"), "GET", page).content.decode()


def test_an_ended_connection_is_no_button_for_viewers(visitor: Visitor) -> None:
    factories.make_install("acme", status=Install.Status.UNAUTHORIZED, removals_held=6)
    text = ask(visitor("acme-viewer"), "GET", reverse("opentrain:home")).content.decode()
    assert "6 removals of access wait" in text
    assert ("<form" in text, "/removals/" in text) == (False, False)


@pytest.mark.parametrize(("name", "method", "of_row"), OPERATIONS)
def test_a_viewer_reads_by_the_api(name: str, method: str, of_row: bool) -> None:
    scene = full_scene()
    keys = {
        "install": scene.install.pk,
        "project": scene.link.pk,
        "contract": scene.contract.pk,
        "grant": scene.grant.pk,
        "webhook": scene.endpoint.pk,
        "event": factories.make_event(scene.endpoint).pk,
    }
    path = reverse(f"opentrain:api-{name}", args=[keys[name.partition("-")[0]]] if of_row else [])
    answer = getattr(log_in("acme-viewer"), method)(path)
    assert answer.status_code == (200 if method == "get" else 403)
    assert getattr(log_in("other-viewer"), method)(path).status_code == (
        403 if method != "get" else 404 if of_row else 200
    )


def test_another_customers_rows_are_not_found(visitor: Visitor) -> None:
    scene = full_scene()
    client = visitor("other-viewer")
    assert ask(client, "GET", reverse("opentrain:contract", args=[scene.contract.pk])).status_code == 404


def status_tag(username: str) -> str:
    request = RequestFactory().get("/")
    request.user = factories.make_user(username)
    tag = Template("{% load opentrain %}{% opentrain_project_status 'acme-1' %}")
    return tag.render(Context({"request": request}))


def test_the_status_tag_shows_and_offers_nothing() -> None:
    assert "Hire AI trainers" in status_tag("acme-boss")
    shown = status_tag("acme-viewer")
    assert "not linked to OpenTrain" in shown
    assert "<a" not in shown
    assert status_tag("acme-clerk").strip() == ""


def test_by_default_those_who_manage_can_look(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = factories.make_user("acme-boss")
    assert NamesAdapter().can_view(request, "acme")
    assert not NamesAdapter().can_view(request, "globex")


def test_viewers_of_several_customers_choose_among_those(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NamesAdapter, "get_tenants", lambda _self, _request: ["acme", "globex"])
    full_scene()
    client: Client = visitor("acme-viewer")
    assert ask(client, "GET", reverse("opentrain:home")).status_code == 200
    assert ask(client, "GET", f"{reverse('opentrain:home')}?customer=globex").status_code == 403
