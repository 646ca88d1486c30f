"""Every error in one shape."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions as drf_exceptions
from rest_framework.test import APIClient

from django_opentrain.adapters import AdapterError
from django_opentrain.api import exceptions
from django_opentrain.api.views.installs import InstallViewSet
from django_opentrain.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidRequest,
    OpenTrainAPIError,
    OpenTrainConnectionError,
    RateLimited,
    ServerError,
    UnusableResponse,
)
from tests.api.conftest import url


@pytest.mark.parametrize(
    ("error", "code", "retry_after"),
    [
        (BadRequest("no", status=400, code="BAD_REQUEST", details={"field": "why"}), "BAD_REQUEST", None),
        (InvalidRequest("too long"), "BAD_REQUEST", None),
        (Forbidden("inactive", status=403, code="FORBIDDEN"), "OPENTRAIN_FORBIDDEN", None),
        (Conflict("there", status=409, code="CONFLICT", details={"job": "j"}), "CONFLICT", None),
        (RateLimited("slowly", status=429), "RATE_LIMITED", 60),
        (RateLimited("slowly", status=429, retry_after=7), "RATE_LIMITED", 7),
        (ServerError("away", status=502), "OPENTRAIN_UNAVAILABLE", 30),
        (UnusableResponse("cut short", status=200), "OPENTRAIN_UNAVAILABLE", 30),
        (OpenTrainAPIError("odd", status=418), "OPENTRAIN_UNAVAILABLE", 30),
        (OpenTrainConnectionError("no answer"), "OPENTRAIN_UNAVAILABLE", 30),
        (AdapterError("the host says no"), "CONFLICT", None),
        (PermissionDenied("why"), "FORBIDDEN", None),
        (Http404("why"), "NOT_FOUND", None),
        (drf_exceptions.AuthenticationFailed("wrong"), "FORBIDDEN", None),
        (drf_exceptions.ParseError("not so"), "BAD_REQUEST", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_each_error_becomes(error: Exception, code: str, retry_after: float | None) -> None:
    response = exceptions.handle(error, {})
    assert response is not None
    assert (response.status_code, response.data["code"]) == (exceptions.CODES[code], code)
    assert response.headers.get("Retry-After") == (retry_after and str(retry_after))
    assert response.data["details"] == (error.details if isinstance(error, (BadRequest, Conflict)) else {})
    assert list(response.data) == ["error", "code", "requestId", "details"]
    assert response.data["requestId"]


def test_opentrains_request_id_is_passed_on() -> None:
    response = exceptions.handle(Conflict("there", status=409, request_id="req_1"), {})
    assert response is not None
    assert response.data["requestId"] == "req_1"


def fail(self: Any, request: object) -> None:
    raise RuntimeError("a secret of the host's")


def test_a_fault_of_ours_says_nothing_to_clients_and_all_to_the_log(
    boss: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(InstallViewSet, "list", fail)
    boss.raise_request_exception = False
    response = boss.get(url("install-list"))
    body = response.json()
    assert (response.status_code, body["code"], body["details"]) == (500, "INTERNAL_ERROR", {})
    assert "secret" not in response.content.decode()
    assert "a secret of the host's" in caplog.text
    assert body["requestId"] in caplog.text


def test_error_trackers_hear_of_a_fault(boss: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InstallViewSet, "list", fail)
    with pytest.raises(RuntimeError):
        boss.get(url("install-list"))


def test_developers_see_djangos_own_page(
    boss: APIClient, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(InstallViewSet, "list", fail)
    boss.raise_request_exception = False
    response = boss.get(url("install-list"))
    assert response.status_code == 500
    assert b"RuntimeError" in response.content


@pytest.mark.parametrize("path", ["nonsense/", "installs", "installs/x/", "installs/%0A/verify/", "x" * 3000])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_a_url_that_leads_nowhere(path: str, method: str, boss: APIClient) -> None:
    response = getattr(boss, method)(f"/opentrain/api/{path}")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
