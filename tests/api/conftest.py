"""A site with two customers (see ``tests.web.adapter``), and front ends that call its API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from rest_framework.test import APIClient

from django_opentrain.models import Install
from tests import factories

ADAPTER = "tests.web.adapter.NamesAdapter"

Caller = Callable[[str], APIClient]


@pytest.fixture(autouse=True)
def _host_adapter(db: None, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": ADAPTER}


def url(name: str, *args: object) -> str:
    """The URL of one of the API's views."""
    return reverse(f"opentrain:api-{name}", args=args)


def log_in(username: str) -> APIClient:
    """A front end in which this user is logged in."""
    client = APIClient()
    client.force_login(User.objects.filter(username=username).first() or factories.make_user(username))
    return client


@pytest.fixture
def boss() -> APIClient:
    """The manager of the customer "acme"."""
    return log_in("acme-boss")


@pytest.fixture
def install() -> Install:
    """The connection of the customer "acme"."""
    return factories.make_install("acme")
