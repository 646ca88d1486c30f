"""The health URL."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from django_opentrain.services.workers import heartbeat

pytestmark = pytest.mark.django_db

LOGIN_WALL = "tests.web.test_receiver.needs_login"


def ask(method: str = "get") -> Any:
    return getattr(Client(), method)(reverse("opentrain:health"))


def test_it_says_ok_where_sweeps_happen(django_assert_num_queries: Any) -> None:
    heartbeat.beat()
    with django_assert_num_queries(1):
        response = ask()
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    ages = {"sweepAgeSeconds": 0, "backlogAgeSeconds": None}
    assert response.json() == {"status": "ok", **ages, "conditions": []}
    assert "no-store" in response["Cache-Control"]


def test_without_workers_the_web_process_stays_in_the_pool() -> None:
    response = ask()
    assert (response.status_code, response.json()["status"]) == (200, "degraded")


def test_without_a_database_it_does_not() -> None:
    with mock.patch(
        "django_opentrain.web.views.health.pulse", side_effect=OperationalError("password=geheim")
    ):
        response = ask()
    assert (response.status_code, response.json()) == (503, {"status": "down"})


def test_it_needs_no_login(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_WALL]
    assert ask().status_code == 200


def test_it_is_only_read() -> None:
    assert ask("head").status_code == 200
    assert ask("post").status_code == 405
