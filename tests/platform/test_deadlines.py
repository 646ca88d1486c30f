"""However slow the other side is, a call ends in time: less than the lease under which it is made."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests

from django_opentrain.platform import transport
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import OpenTrainConnectionError, RateLimited, UnusableResponse
from tests.platform.cases import SENT_ONCE, caught_from
from tests.platform.conftest import TOKEN, ClientFactory
from tests.platform.proxy import proxying
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import INSTALL

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEADERS = {
    "status": b"HTTP/1.1 200 ",
    "header": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "interim": b"HTTP/1.1 100 Continue\r\nX-Slow: ",
}
BODIES = {
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "until it ends": b"HTTP/1.1 200 OK\r\n\r\n",
    "size of a chunk": CHUNKED,
    "chunk": CHUNKED + b"ffff\r\n",
    "trailer": CHUNKED + b"0\r\nX-Slow: ",
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
}


@contextmanager
def taking(shortest: float, longest: float) -> Iterator[None]:
    """… seconds, and no thread remains."""
    threads = threading.active_count()
    began = time.monotonic()
    yield
    assert shortest <= time.monotonic() - began < longest
    assert threading.active_count() <= threads + 1  # the server's, for a connection that was just closed


@pytest.mark.parametrize("after", HEADERS.values(), ids=HEADERS)
def test_headers_that_drip(make_client: ClientFactory, server: ScriptedServer, after: bytes) -> None:
    server.drips(0.02, after=after)
    with taking(0.4, 1.5):
        error = caught_from(SENT_ONCE[0], make_client(read_timeout=0.4))
    assert isinstance(error, OpenTrainConnectionError)
    assert error.outcome_unknown


@pytest.mark.parametrize("after", BODIES.values(), ids=BODIES)
def test_a_body_that_drips(make_client: ClientFactory, server: ScriptedServer, after: bytes) -> None:
    server.drips(0.02, after=after)
    with taking(0.0, 1.5):
        error = caught_from(PlatformClient.get_install, make_client(read_timeout=0.4, max_retries=0))
    assert isinstance(error, (UnusableResponse, OpenTrainConnectionError))
    assert error.outcome_unknown


def test_a_body_that_is_late_says_so(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.drips(0.02)
    error = caught_from(PlatformClient.get_install, make_client(read_timeout=0.3, max_retries=0))
    assert isinstance(error, UnusableResponse)
    assert "took too long to arrive" in str(error)


def test_interim_answers_without_end(make_client: ClientFactory, server: ScriptedServer) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        while True:
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    server.script.append(answer)
    with taking(0.4, 1.5):
        error = caught_from(SENT_ONCE[0], make_client(read_timeout=0.4))
    assert error.outcome_unknown


def test_silence(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.drips(0.8, after=b"")
    with taking(0.3, 1.5):
        error = caught_from(SENT_ONCE[0], make_client(read_timeout=0.3))
    assert error.outcome_unknown


def test_headers_that_drip_through_tls(
    tls_server: ScriptedServer, certificate: Path, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    tls_server.drips(0.02, after=HEADERS["header"])
    client = PlatformClient(tls_server.url, TOKEN, session=session, read_timeout=0.4, max_retries=0)
    with taking(0.4, 1.5):
        error = caught_from(SENT_ONCE[0], client)
    assert error.outcome_unknown


def test_a_proxy_whose_headers_drip(
    tls_server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.drips(0.02)
        client = PlatformClient(tls_server.url, TOKEN, session=session, read_timeout=0.4)
        with taking(0.4, 1.5):
            error = caught_from(SENT_ONCE[0], client)
    assert not error.outcome_unknown
    assert tls_server.received == []


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """``serve`` gets the listening socket in a thread, until the block is left."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_tls_handshake_that_drips(session: requests.Session) -> None:
    def serve(listener: socket.socket) -> None:
        with pytest.raises(OSError):  # noqa: PT011, PT012 - the client hangs up
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"\x16\x03\x03\x40\x00")  # the beginning of a long record
                while True:
                    connection.sendall(b"\x00")
                    time.sleep(0.02)

    with listening(serve) as port:
        client = PlatformClient(
            f"https://127.0.0.1:{port}", TOKEN, session=session, connect_timeout=0.4, max_retries=0
        )
        with taking(0.4, 1.5):
            error = caught_from(SENT_ONCE[0], client)
    assert not error.outcome_unknown


def test_a_connection_that_is_never_accepted(session: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):  # fills the backlog
            client = PlatformClient(
                f"http://127.0.0.1:{address[1]}", TOKEN, session=session, connect_timeout=0.4
            )
            with taking(0.4, 1.5):
                error = caught_from(SENT_ONCE[0], client)
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown


# With retries -----------------------------------------------------------------------------------


def test_retries_end_with_the_call(
    make_client: ClientFactory, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_CALL_SECONDS", 1.0)
    monkeypatch.setattr("random.uniform", lambda low, _high: low)
    for _ in range(10):
        server.drips(0.02, after=HEADERS["header"])
    client = make_client(read_timeout=0.4, max_retries=10)
    with taking(0.8, 1.5):
        assert isinstance(caught_from(PlatformClient.get_install, client), OpenTrainConnectionError)
    assert len(server.received) == 3


def test_a_pause_that_does_not_fit_is_not_slept(
    client: PlatformClient, server: ScriptedServer, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_CALL_SECONDS", 1.0)
    server.answers(429, {"code": "RATE_LIMITED"}, Retry_After="2")
    assert isinstance(caught_from(PlatformClient.get_install, client), RateLimited)
    assert pauses == []


def test_an_attempt_that_begins_at_the_last_moment(
    make_client: ClientFactory, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sleep may take longer than it was to."""
    monkeypatch.setattr(transport, "MAX_CALL_SECONDS", 0.3)
    server.answers(429, {"code": "RATE_LIMITED"}, Retry_After="0")
    client = make_client(sleep=lambda _seconds: time.sleep(0.4))
    with taking(0.4, 1.5):
        assert isinstance(caught_from(PlatformClient.get_install, client), OpenTrainConnectionError)


def test_a_slow_answer_takes_nothing_from_the_next_one(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        server.answers(200, {"install": INSTALL})
        server.script.pop()(handler)

    server.script.extend([answer, answer, answer])
    client = make_client(read_timeout=0.5, max_retries=0)
    for _ in range(3):
        assert client.get_install().id == "ins_1"
    assert len(server.connections) == 1


def test_the_session_is_good_for_other_requests(session: requests.Session, server: ScriptedServer) -> None:
    """Without a call, there is no deadline."""
    server.answers(200, {"install": INSTALL})
    assert session.get(server.url, timeout=5).json() == {"install": INSTALL}
