"""Faults on order, and the in-process transport that carries them."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from django_opentrain.platform.catalog import API_PATH
from django_opentrain.sandbox import ApiError, Sandbox
from django_opentrain.sandbox.models import Fault, Link
from tests.sandbox.conftest import Api


def call(sandbox: Sandbox, session: requests.Session, api: Api, **kwargs: Any) -> requests.Response:
    """Create a link without checking the answer."""
    return session.post(
        f"{sandbox.base_url}{API_PATH}/project-links",
        json={"externalProjectId": "1"},
        headers={"Authorization": f"Bearer {api.token}"},
        **kwargs,
    )


@pytest.mark.parametrize(
    ("kind", "status", "expected", "content_type"),
    [
        ("error", None, 500, "application/json"),
        ("error", 429, 429, "application/json"),
        ("error", 418, 418, "application/json"),
        ("error", 599, 599, "application/json"),
        ("empty", None, 503, None),
        ("html", None, 502, "text/html; charset=utf-8"),
    ],
)
def test_refusals_do_nothing(
    sandbox: Sandbox,
    session: requests.Session,
    api: Api,
    kind: str,
    status: int | None,
    expected: int,
    content_type: str | None,
) -> None:
    sandbox.fault(kind, status=status, retry_after="7")
    response = call(sandbox, session, api)
    assert response.status_code == expected
    assert response.headers["Retry-After"] == "7"
    assert response.headers.get("Content-Type") == content_type
    assert sandbox.store.all(Link) == []
    assert call(sandbox, session, api).status_code == 201
    assert [each.status for each in sandbox.calls] == [expected, 201]


def test_the_envelope_of_an_ordered_error(sandbox: Sandbox, session: requests.Session, api: Api) -> None:
    sandbox.fault("error", status=429)
    assert call(sandbox, session, api).json()["code"] == "RATE_LIMITED"
    sandbox.fault("error", status=503)
    assert call(sandbox, session, api).json()["code"] == "INTERNAL_ERROR"


def test_a_dropped_call_took_effect(sandbox: Sandbox, session: requests.Session, api: Api) -> None:
    sandbox.fault("drop")
    with pytest.raises(requests.ConnectionError):
        call(sandbox, session, api)
    assert len(sandbox.store.all(Link)) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_truncated_answer_took_effect(
    sandbox: Sandbox, session: requests.Session, api: Api, stream: bool
) -> None:
    sandbox.fault("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):  # where depends on stream
        _ = call(sandbox, session, api, stream=stream).content
    assert len(sandbox.store.all(Link)) == 1


def test_slower_than_the_timeout_is_a_timeout_at_once(
    sandbox: Sandbox, session: requests.Session, api: Api
) -> None:
    sandbox.fault("slow", seconds=100, times=2)
    start = time.monotonic()
    for timeout in (20, (3, 20)):
        with pytest.raises(requests.ReadTimeout):
            call(sandbox, session, api, timeout=timeout)
    assert time.monotonic() - start < 5
    assert len(sandbox.store.all(Link)) == 1


def test_slow(sandbox: Sandbox, session: requests.Session, api: Api) -> None:
    sandbox.fault("slow", seconds=0.05)
    start = time.monotonic()
    assert call(sandbox, session, api, timeout=(3, None)).status_code == 201
    assert time.monotonic() - start >= 0.05


def test_matching_and_counting(sandbox: Sandbox, api: Api) -> None:
    sandbox.fault("error", match="GET /project-links", times=2)
    sandbox.fault("error", match=".* /contracts(/.*)?", status=429)
    assert api.get("/installs/current").status == 200
    assert api.post("/project-links", {"externalProjectId": "1"}).status == 201
    assert [api.get("/project-links").status for _ in range(3)] == [500, 500, 200]
    assert [api.get("/contracts/x/budget").status for _ in range(2)] == [429, 404]


def test_clearing(sandbox: Sandbox, api: Api) -> None:
    sandbox.fault("error", times=100)
    sandbox.clear_faults()
    assert sandbox.store.all(Fault) == []
    assert api.get("/installs/current").status == 200


@pytest.mark.parametrize(
    "order", [{"kind": "flood"}, {"kind": "error", "match": "("}, {"kind": "error", "status": 200}]
)
def test_impossible_orders(sandbox: Sandbox, order: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        sandbox.fault(**order)


def test_a_session_goes_elsewhere_for_other_hosts(sandbox: Sandbox, session: requests.Session) -> None:
    adapter = session.get_adapter(sandbox.base_url + "/x")
    assert adapter is not session.get_adapter("https://elsewhere.test/")
    adapter.close()
    response = session.get(sandbox.base_url + "/")
    assert response.headers["Date"].endswith("GMT")
    assert response.headers["Content-Length"] == str(len(response.content))
    assert session.head(sandbox.base_url + "/").content == b""
    assert session.post(sandbox.base_url + "/control/api/clear_faults", data="{}").status_code == 400
