"""Names where ids stand: customers as the host calls them, accounts with a link to the site's user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import models

from django_opentrain.adapters import get_adapter
from django_opentrain.admin import ADMINS
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    Participant,
    TrainerAccount,
    WebhookEndpoint,
    WebhookEvent,
    WorkEntry,
)
from tests import factories
from tests.admin.browsing import text_of, url
from tests.admin.conftest import HOSTILE, Scene, logged_in
from tests.admin.test_pages import make_another

pytestmark = pytest.mark.django_db

OF_CUSTOMERS = [model for model, its_admin in ADMINS.items() if its_admin.tenant_path]

Naming = Callable[[Callable[[str], str]], list[str]]


@pytest.fixture
def naming(monkeypatch: pytest.MonkeyPatch) -> Naming:
    """Let the host say customers' names so; returns the tenants for whom it is asked."""

    def let(name: Callable[[str], str]) -> list[str]:
        asked: list[str] = []

        def display_customer(_self: Any, tenant: str) -> str:
            asked.append(tenant)
            return name(tenant)

        monkeypatch.setattr(type(get_adapter()), "display_customer", display_customer)
        return asked

    return let


def test_all_lists_of_customers_rows_have_their_names() -> None:
    assert {
        Install,
        Contract,
        Participant,
        AccessGrant,
        WebhookEndpoint,
        WebhookEvent,
        DailyUsage,
        WorkEntry,
    } <= set(OF_CUSTOMERS)


@pytest.mark.parametrize("model", OF_CUSTOMERS, ids=lambda model: model.__name__)
def test_customers_have_the_hosts_names(
    model: type[models.Model], scene: Scene, superuser: User, naming: Naming
) -> None:
    asked, client = naming(lambda tenant: f"Acme & {tenant}"), logged_in(superuser)
    for _ in range(5):
        make_another(scene)
    page = text_of(client.get(url(model, "changelist")))
    assert 'title="Acme &amp; Photos (Photos)">Acme &amp; Photos<' in page
    assert len(asked) == len(set(asked)) == len({"Photos", "another"})
    row = text_of(client.get(url(model, "change", scene[model].pk)))
    assert "Acme &amp; Photos <small>Photos</small>" in row


@pytest.mark.parametrize("model", OF_CUSTOMERS, ids=lambda model: model.__name__)
def test_a_host_that_fails_hides_no_page(
    model: type[models.Model], scene: Scene, superuser: User, naming: Naming
) -> None:
    def fail(tenant: str) -> str:
        raise ConnectionError(tenant)

    naming(fail)
    client = logged_in(superuser)
    assert "Photos" in text_of(client.get(url(model, "changelist")))
    assert "Photos" in text_of(client.get(url(model, "change", scene[model].pk)))


def test_names_are_escaped(scene: Scene, superuser: User, naming: Naming) -> None:
    naming(lambda _tenant: HOSTILE)
    client = logged_in(superuser)
    for page in ("changelist", "change"):
        key = [scene[Contract].pk] if page == "change" else []
        assert HOSTILE not in text_of(client.get(url(Contract, page, *key)))


def test_a_list_of_one_customer_says_whose(scene: Scene, superuser: User, naming: Naming) -> None:
    naming(lambda tenant: f"The {tenant}")
    page = logged_in(superuser).get(url(Contract, "changelist"), {"install": scene[Install].pk})
    assert "The Photos</a>" in text_of(page)


def test_accounts_lead_to_the_sites_users(scene: Scene, superuser: User) -> None:
    account, grant, install = scene[TrainerAccount], scene[AccessGrant], scene[Install]
    AccessGrant.objects.update(host_user_ref=str(account.user.pk))
    client = logged_in(superuser)
    user_page = url(User, "change", account.user.pk)
    assert user_page in text_of(client.get(url(TrainerAccount, "changelist")))
    assert user_page in text_of(client.get(url(AccessGrant, "change", grant.pk)))
    assert url(User, "change", install.connected_by.pk) in text_of(
        client.get(url(Install, "change", install.pk))
    )


def test_an_id_of_another_system_leads_nowhere(scene: Scene, superuser: User) -> None:
    AccessGrant.objects.update(host_user_ref="4711")
    page = text_of(logged_in(superuser).get(url(AccessGrant, "change", scene[AccessGrant].pk)))
    assert "4711" in page
    assert "/auth/user/4711/" not in page


@pytest.mark.long
def test_those_who_may_not_view_users_see_no_link(scene: Scene, viewer: User) -> None:
    client, account = logged_in(viewer), scene[TrainerAccount]
    AccessGrant.objects.update(host_user_ref=str(account.user.pk))
    pages = [
        url(TrainerAccount, "changelist"),
        url(AccessGrant, "change", scene[AccessGrant].pk),
        url(Install, "change", scene[Install].pk),
    ]
    assert not any("/auth/user/" in text_of(client.get(page)) for page in pages)
    viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert all("/auth/user/" in text_of(client.get(page)) for page in pages)


def test_long_ids_are_cut_in_lists_and_whole_on_their_pages(superuser: User) -> None:
    contract = factories.make_contract(factories.make_install(), title="A title " * 20)
    client = logged_in(superuser)
    page = text_of(client.get(url(Contract, "changelist")))
    assert f'title="{contract.title}">A title A title A title A …' in page
    assert contract.title.strip() in text_of(client.get(url(Contract, "change", contract.pk)))
