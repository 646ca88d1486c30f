"""Two customers are one exactly when the adapter's texts for them are equal, on each database."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.template import Context, Template
from django.test import Client, RequestFactory

from django_opentrain.adapters import AdapterError
from django_opentrain.adapters.tenants import tenant_of
from django_opentrain.fields import MAX_ID
from django_opentrain.models import ConsentRequest, Install, ProjectLink
from django_opentrain.services import connect
from tests import factories
from tests.api.conftest import log_in, url
from tests.web.adapter import NamesAdapter

pytestmark = pytest.mark.django_db

ACME = "acme"
#: What a database might hold to be equal.
ALIKE = [
    ACME, "Acme", "ACME", "âcme", "a\u0302cme", "acmé", "acme ", " acme", "acme  ", "acme\t", "acme\n", "acme\u00a0",
    "acme\u200b", "acme\u0301", "\uff41cme", "acme%", "acme_", "a_me", "a%", "acme\\", "acme'", "\u0430cme",
    "\ufb00", "ff", "ß", "ss",
    "\u1e9e", "1", "01", "1.0", "\u0661", "true", "None", "😀", "😁", "\u200d", "a" * MAX_ID,
    "a" * (MAX_ID - 1), " ", "  ",
]  # fmt: skip

UNUSABLE = [7, True, b"acme", "a" * (MAX_ID + 1), "ac\0me", "ac\ud800me"]


def give(monkeypatch: pytest.MonkeyPatch, tenant: object) -> None:
    monkeypatch.setattr(NamesAdapter, "get_tenant", lambda _adapter, _request: tenant)
    monkeypatch.setattr(NamesAdapter, "can_manage", lambda _adapter, _request, _tenant: True)


def test_a_customers_rows_are_found_by_an_equal_text_only() -> None:
    rows = {tenant: factories.make_install(tenant).pk for tenant in ALIKE}
    for tenant, key in rows.items():
        assert [row.pk for row in Install.objects.filter(tenant=tenant)] == [key], tenant


def test_projects_are_as_distinct_as_customers() -> None:
    """The database says which ids are equal in its constraints, too."""
    install = factories.make_install()
    for project in ("p1", "p1 "):
        factories.make_link(install, external_project_id=project)
    assert ProjectLink.objects.filter(external_project_id="p1").count() == 1


@pytest.mark.parametrize("tenant", UNUSABLE)
def test_what_can_not_be_stored_is_said_on_each_surface(
    tenant: object, boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, tenant)
    for page in (boss.get("/opentrain/"), boss.get("/opentrain/callback/")):
        assert page.status_code == 409
        assert "at most 200 characters" in page.content.decode()
    answer = log_in("acme-boss").get(url("install-list"))
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    request = RequestFactory().get("/")
    request.user = factories.make_user("ken")
    with pytest.raises(AdapterError, match="get_tenant"):
        connect.begin(request)
    tag = Template("{% load opentrain %}{% opentrain_project_status 'p1' %}")
    assert tag.render(Context({"request": request})).strip() == ""


def test_an_empty_text_is_no_customer(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "")
    factories.make_install("")
    assert boss.get("/opentrain/").status_code == 403
    assert log_in("acme-boss").get(url("install-list")).status_code == 403
    request: Any = RequestFactory().get("/")
    request.user = factories.make_user("ken")
    assert tenant_of(request) is None
    with pytest.raises(PermissionDenied):
        connect.begin(request)
    assert not ConsentRequest.objects.exists()
