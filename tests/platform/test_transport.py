"""What can happen on the wire, against a real server on a local port."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests

from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    InvalidRequest,
    OpenTrainConnectionError,
)
from tests.platform.cases import REPEATED, SENT_ONCE, Act, caught_from, closed_port
from tests.platform.conftest import TOKEN, ClientFactory
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import INSTALL


@pytest.mark.parametrize("act", [*SENT_ONCE, REPEATED[0][0]])
def test_what_was_never_connected_had_no_effect(
    session: requests.Session, pauses: list[float], act: Act
) -> None:
    client = PlatformClient(f"http://127.0.0.1:{closed_port()}", TOKEN, session=session, sleep=pauses.append)
    error = caught_from(act, client)
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown
    assert "can't be reached" in str(error)
    assert error.__context__ is None
    assert len(pauses) == (0 if act in SENT_ONCE else 3)


def test_a_host_that_does_not_exist(session: requests.Session, pauses: list[float]) -> None:
    client = PlatformClient("http://opentrain.invalid", TOKEN, session=session, sleep=pauses.append)
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown


def test_a_connect_timeout_of_another_adapter_had_no_effect(session: requests.Session) -> None:
    class Unreachable(requests.adapters.BaseAdapter):
        def send(self, *args: object, **kwargs: object) -> requests.Response:
            raise requests.ConnectTimeout

        def close(self) -> None:
            """Nothing is held open."""

    session.mount("http://opentrain.test", Unreachable())
    client = PlatformClient("http://opentrain.test", TOKEN, session=session, max_retries=0)
    assert not caught_from(PlatformClient.get_install, client).outcome_unknown


def test_each_timeout_is_for_its_own_half(server: ScriptedServer) -> None:
    given: list[object] = []

    class Watching(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            given.append(kwargs["timeout"])
            return super().send(request, *args, **kwargs)

    server.answers(200, {"install": INSTALL})
    with requests.Session() as session:
        session.mount("http://", Watching())
        PlatformClient(server.url, TOKEN, session=session, connect_timeout=3, read_timeout=20).get_install()
    assert given == [(3, 20)]


def _wait_for_more(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read(1)


def test_a_timeout_after_sending_may_have_had_an_effect(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    server.script.append(_wait_for_more)
    error = caught_from(SENT_ONCE[0], make_client(read_timeout=0.2))
    assert isinstance(error, OpenTrainConnectionError)
    assert error.outcome_unknown
    assert "ReadTimeout" in str(error)


def test_what_the_caller_is_handling_does_not_count(client: PlatformClient, server: ScriptedServer) -> None:
    """A caller inside ``except`` gives every exception a context; it says nothing about this call."""
    server.drops()
    try:
        requests.get(f"http://127.0.0.1:{closed_port()}", timeout=1)
    except requests.ConnectionError:
        error = caught_from(SENT_ONCE[0], client)
    assert error.outcome_unknown


def test_garbage_instead_of_http(make_client: ClientFactory, server: ScriptedServer) -> None:
    def garbage(handler: Any) -> None:
        handler.close_connection = True
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    server.script.append(garbage)
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, OpenTrainConnectionError)
    assert error.outcome_unknown


def test_contradicting_content_lengths_come_from_the_answer(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    server.sends(200, b"{}", Content_Length="2, 7")
    error = caught_from(SENT_ONCE[0], make_client())
    assert not isinstance(error, InvalidRequest)
    assert error.outcome_unknown


def test_cookies_are_not_kept(client: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"install": INSTALL}, Set_Cookie="session=1; Path=/")
    server.answers(200, {"install": INSTALL})
    client.get_install()
    client.get_install()
    assert "Cookie" not in server.received[1].headers


def test_connections_are_kept(client: PlatformClient, server: ScriptedServer) -> None:
    for _ in range(3):
        server.answers(200, {"install": INSTALL})
        server.refuses(404, "NOT_FOUND")
        client.get_install()
        caught_from(lambda c: c.get_budget("c"), client)
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "app.opentrain.ai",
        "ftp://app.opentrain.ai",
        "https://",
        "https://a/?b=c",
        "https://a/#b",
        "http://[",
    ],
)
def test_a_base_url_must_be_one(base_url: str) -> None:
    with pytest.raises(InvalidRequest, match="base URL"):
        PlatformClient(base_url, TOKEN)


def test_a_base_url_that_requests_refuses(session: requests.Session) -> None:
    client = PlatformClient(f"http://{'a' * 70}..example", TOKEN, session=session)
    assert isinstance(caught_from(PlatformClient.get_install, client), InvalidRequest)


def test_the_session_is_made_when_none_is_given(
    server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_opentrain.platform.client.build_session", lambda: session)
    server.answers(200, {"install": INSTALL})
    assert PlatformClient(server.url, TOKEN).get_install().id == "ins_1"


def test_none_of_it_imports_django() -> None:
    program = (
        "import sys, django_opentrain.platform.client, django_opentrain.platform.signing\n"
        "sys.exit('django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
