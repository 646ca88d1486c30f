"""A site whose host is :class:`tests.web.adapter.NamesAdapter`, and its visitors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.utils import translation

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
