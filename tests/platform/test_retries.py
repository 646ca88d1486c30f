"""What is sent again, when, and what a repeated deletion proves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    NotFound,
    RateLimited,
    ServerError,
)
from django_opentrain.platform.resources import UsageEntry
from tests.platform.cases import FAULTS, REPEATED, SENT_ONCE, Act, caught_from, every_fault
from tests.platform.conftest import ClientFactory
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import INSTALL


@every_fault
@pytest.mark.parametrize(("act", "answer"), REPEATED, ids=["GET", "usage", "DELETE", "spec"])
def test_what_is_repeatable_survives_faults(
    client: PlatformClient,
    server: ScriptedServer,
    pauses: list[float],
    fault: Callable[[ScriptedServer], None],
    act: Act,
    answer: dict[str, Any],
) -> None:
    for _ in range(3):
        fault(server)
    server.answers(200, answer)
    assert act(client)
    assert len(server.received) == 4
    assert len({(request.target, request.body) for request in server.received}) == 1
    assert len(pauses) == 3


@pytest.mark.parametrize(
    ("fault", "unknown"), list(zip(FAULTS, [True, True, True, True, False], strict=True))
)
def test_a_retried_report_may_still_take_effect_twice(
    client: PlatformClient, server: ScriptedServer, fault: Callable[[ScriptedServer], None], unknown: bool
) -> None:
    """The first attempt, late, would overwrite what a newer report has said since."""
    answer = {"contractId": "ctr_1", "accepted": 1}
    entries = [UsageEntry(work_date=date(2026, 11, 22), total_seconds=60)]
    server.answers(200, answer)
    assert not client.report_usage("ctr_1", entries).outcome_unknown
    fault(server)
    server.answers(200, answer)
    assert client.report_usage("ctr_1", entries).outcome_unknown is unknown


@every_fault
@pytest.mark.parametrize("act", SENT_ONCE, ids=["link", "endpoint", "PATCH", "redeliver"])
def test_other_writes_are_sent_once(
    client: PlatformClient,
    server: ScriptedServer,
    pauses: list[float],
    fault: Callable[[ScriptedServer], None],
    act: Act,
) -> None:
    fault(server)
    error = caught_from(act, client)
    assert error.outcome_unknown is not isinstance(error, RateLimited)
    assert len(server.received) == 1
    assert pauses == []


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 418])
def test_answers_are_not_argued_with(client: PlatformClient, server: ScriptedServer, status: int) -> None:
    server.sends(status)
    error = caught_from(PlatformClient.get_install, client)
    assert not error.outcome_unknown
    assert len(server.received) == 1


def test_gives_up_after_its_repetitions(make_client: ClientFactory, server: ScriptedServer) -> None:
    for _ in range(5):
        server.sends(500)
    assert isinstance(caught_from(PlatformClient.get_install, make_client(max_retries=2)), ServerError)
    assert len(server.received) == 3
    assert isinstance(caught_from(PlatformClient.get_install, make_client(max_retries=0)), ServerError)
    assert len(server.received) == 4


def test_pauses_grow_with_full_jitter_up_to_a_cap(
    make_client: ClientFactory, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", uniform)
    for _ in range(7):
        server.sends(500)
    caught_from(PlatformClient.get_install, make_client(max_retries=6))
    assert asked == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0), (0, 8.0)]


@pytest.mark.parametrize(("status", "code"), [(429, "RATE_LIMITED"), (503, "INTERNAL_ERROR")])
def test_a_short_retry_after_is_slept(
    client: PlatformClient, server: ScriptedServer, pauses: list[float], status: int, code: str
) -> None:
    server.answers(status, {"code": code}, Retry_After="2")
    server.answers(200, {"install": INSTALL})
    client.get_install()
    assert pauses == [2.0]


@pytest.mark.parametrize(
    "value", ["3", "600", "Fri, 31 Dec 9999 23:59:59 GMT"], ids=["3 s", "10 minutes", "a date"]
)
def test_a_long_retry_after_is_for_rescheduling(
    client: PlatformClient, server: ScriptedServer, pauses: list[float], value: str
) -> None:
    server.answers(429, {"error": "Slow down", "code": "RATE_LIMITED"}, Retry_After=value)
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, RateLimited)
    assert error.retry_after == {"3": 3.0, "600": 600.0}.get(value, 86_400.0)
    assert pauses == []


def test_a_rate_limit_that_does_not_say_how_long(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.refuses(429, "RATE_LIMITED")
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, RateLimited)
    assert error.retry_after is None


@pytest.mark.parametrize("lost", FAULTS[:4], ids=["drop", "cut", "500", "502 HTML"])
def test_a_repeated_deletion_that_finds_nothing_succeeded_before(
    client: PlatformClient, server: ScriptedServer, lost: Callable[[ScriptedServer], None]
) -> None:
    lost(server)
    server.refuses(404, "NOT_FOUND")
    assert client.delete_project_link("lnk_1") is None


def test_a_first_deletion_that_finds_nothing_did_not(client: PlatformClient, server: ScriptedServer) -> None:
    server.refuses(404, "NOT_FOUND")
    assert isinstance(caught_from(lambda c: c.delete_project_link("l"), client), NotFound)


def test_a_refused_deletion_proves_nothing(client: PlatformClient, server: ScriptedServer) -> None:
    server.refuses(429, "RATE_LIMITED")
    server.refuses(404, "NOT_FOUND")
    assert isinstance(caught_from(lambda c: c.delete_project_link("l"), client), NotFound)


def test_a_load_balancers_404_proves_nothing(client: PlatformClient, server: ScriptedServer) -> None:
    server.sends(503)
    server.sends(404, b"default backend - 404", Content_Type="text/plain")
    error = caught_from(lambda c: c.delete_project_link("l"), client)
    assert isinstance(error, NotFound)
    assert error.outcome_unknown  # the first may have deleted it


def test_a_lost_read_that_finds_nothing_is_not_found(client: PlatformClient, server: ScriptedServer) -> None:
    server.drops()
    server.refuses(404, "NOT_FOUND")
    assert isinstance(caught_from(lambda c: c.get_project_link("l"), client), NotFound)
