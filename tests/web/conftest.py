"""A site whose host is :class:`tests.web.adapter.NamesAdapter`, and its visitors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.utils import timezone, translation

from django_opentrain.models import AccessGrant
from tests import factories

ADAPTER = "tests.web.adapter.NamesAdapter"

Visitor = Callable[[str], Client]


@pytest.fixture(autouse=True)
def _host_adapter(db: None) -> object:
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": ADAPTER}):
        yield
    # LocaleMiddleware leaves a request's language to the thread.
    translation.deactivate()


@pytest.fixture
def visitor() -> Visitor:
    """Logs a user in, by name; their client's CSRF checks are on."""

    def log_in(username: str) -> Client:
        client = Client(enforce_csrf_checks=True)
        client.force_login(factories.make_user(username))
        return client

    return log_in


@pytest.fixture
def boss(visitor: Visitor) -> Client:
    """The manager of the customer "acme"."""
    return visitor("acme-boss")


@pytest.fixture
def grant() -> AccessGrant:
    """Maria's access to project 7, for an hour."""
    user = factories.make_user("maria")
    install = factories.make_install()
    link = factories.make_link(install, external_project_id="7")
    contract = factories.make_contract(install, [link])
    return factories.make_grant(
        contract,
        link,
        factories.make_participant(install),
        state=AccessGrant.State.GRANTED,
        host_user_ref=str(user.pk),
        opened_project_id="7",
        granted_at=timezone.now() - timedelta(hours=1),
    )


@pytest.fixture
def maria(client: Client, grant: AccessGrant) -> Client:
    client.force_login(User.objects.get(pk=grant.host_user_ref))
    return client
