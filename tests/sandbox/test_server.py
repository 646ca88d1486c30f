"""The HTTP transport, and background delivery to a real receiver."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from django_opentrain.platform import catalog
from django_opentrain.platform.catalog import API_PATH, DELIVERY_TIMEOUT_SECONDS
from django_opentrain.platform.signing import verify
from django_opentrain.sandbox import Clock, Sandbox
from django_opentrain.sandbox.app import SandboxApp
from django_opentrain.sandbox.delivery import HttpSender
from django_opentrain.sandbox.models import Delivery
from django_opentrain.sandbox.runner import DeliveryRunner
from django_opentrain.sandbox.server import MAX_REQUEST_BYTES, serving
from tests.sandbox.conftest import Api


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for ``condition``; fail when it doesn't come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with serving(sandbox.app) as served:
        yield served


@pytest.fixture
def remote(sandbox: Sandbox, url: str) -> Iterator[Api]:
    """An API client that goes through a socket."""
    sandbox.base_url = url
    with requests.Session() as session:
        session.trust_env = False
        yield Api(sandbox, session, sandbox.approve().token)


def raw(url: str, request: bytes) -> bytes:
    """What comes back for these very bytes, until the server closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_calls_over_one_connection(remote: Api, url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for _ in range(3):
        connection.request(
            "GET", f"{API_PATH}/installs/current", headers={"Authorization": f"Bearer {remote.token}"}
        )
        before = connection.sock
        response = connection.getresponse()
        assert response.status == 200
        assert response.getheader("Date", "").endswith("GMT")
        assert response.read()
        assert connection.sock is before
    connection.close()


def test_the_whole_api_works(remote: Api) -> None:
    link_id = remote.link()
    remote.subscribe()
    assert remote.call("DELETE", f"/project-links/{link_id}").status == 200
    answer = remote.post("/project-links", {"externalProjectId": "1", "x": 1})
    assert answer.status == 400


def test_head_has_no_body(url: str) -> None:
    response = requests.head(url + "/static/sandbox.css", timeout=5)
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) > 1000
    assert response.content == b""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: x", b"411"),
        (b"Content-Length: -1", b"411"),
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: %d" % (MAX_REQUEST_BYTES + 1), b"413"),
        (b"Content-Length: " + b"9" * 5000, b"413"),
    ],
)
def test_bodies_without_a_usable_length(url: str, headers: bytes, status: bytes) -> None:
    answer = raw(url, b"POST /control/api/hire HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n")
    assert answer.split()[1] == status


def test_half_a_request_does_nothing(url: str, sandbox: Sandbox) -> None:
    body = b'{"name": "Beta"}'
    head = b"POST /control/api/create_organization HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    answer = raw(url, head + b"Content-Length: 99\r\n\r\n" + body)
    assert answer == b""
    whole = raw(url, head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert whole.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in whole
    assert [
        each["name"] for each in requests.get(url + "/control/api/state", timeout=5).json()["organizations"]
    ] == [
        "Acme Robotics",
        "Beta",
    ]
    del sandbox


def test_dropped_answers(remote: Api, sandbox: Sandbox) -> None:
    sandbox.fault("drop", match="POST .*")
    with pytest.raises(requests.ConnectionError):
        remote.link()
    assert len(remote.get("/project-links").body["projectLinks"]) == 1


def test_truncated_answers(remote: Api, sandbox: Sandbox) -> None:
    sandbox.fault("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        remote.get("/project-links")
    assert remote.get("/project-links").status == 200


def test_slow_answers_take_effect_first(remote: Api, sandbox: Sandbox) -> None:
    sandbox.fault("slow", seconds=30)
    with pytest.raises(requests.ReadTimeout):
        remote.post("/project-links", {"externalProjectId": "1"}, timeout=0.2)
    assert len(remote.get("/project-links").body["projectLinks"]) == 1


def test_a_client_that_goes_away_is_no_news(
    remote: Api, url: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.fault("slow", seconds=0.2)
    parts = urlsplit(url)
    with caplog.at_level("DEBUG", "django_opentrain.sandbox.server"):
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(f"GET {API_PATH}/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            eventually(lambda: sandbox.calls)
        eventually(lambda: "broke off" in caplog.text)
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert remote.get("/installs/current").status == 200


def test_a_bug_is_a_500_with_the_envelope(
    remote: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(SandboxApp, "_answer", broken)
    assert remote.get("/installs/current").code == "INTERNAL_ERROR"
    assert "GET /api/partner/v1/installs/current failed" in caplog.text


def test_ipv6(sandbox: Sandbox) -> None:
    try:
        with serving(sandbox.app, "::1") as served:
            assert served.startswith("http://[::1]:")
            assert requests.get(served + "/", timeout=5).status_code == 200
    except OSError:
        pytest.skip("this machine has no IPv6")


# Delivery -------------------------------------------------------------------------------------


class Target(ThreadingHTTPServer):
    """A receiver: /ok answers 204, /slow when released, /moved redirects to /ok."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _TargetHandler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.release = threading.Event()
        self.waiting = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.got]


class _TargetHandler(BaseHTTPRequestHandler):
    server: Target
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/slow":
            self.server.waiting += 1
            self.server.release.wait(30)
        self.server.got.append((self.path, dict(self.headers.items()), body))
        self.send_response(302 if self.path == "/moved" else 204)
        if self.path == "/moved":
            self.send_header("Location", "/ok")
        self.send_header("Set-Cookie", "session=1")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silence."""


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def running(target: Target) -> Iterator[Sandbox]:
    """A sandbox that delivers in the background, on a clock that is 60 times as fast."""
    del target
    sandbox = Sandbox(clock=Clock(speed=60))
    runner = DeliveryRunner(sandbox.engine)
    runner.start()
    yield sandbox
    runner.stop()
    sandbox.close()


def client(sandbox: Sandbox, session: requests.Session) -> Api:
    sandbox.mount(session)
    return Api(sandbox, session, sandbox.approve().token)


def test_signed_posts_arrive(running: Sandbox, target: Target, session: requests.Session) -> None:
    api = client(running, session)
    created = api.post(
        "/webhook-endpoints", {"url": target.url + "/ok", "eventTypes": ["project_link.created"]}
    )
    api.link("Projekt ✓")
    eventually(lambda: target.got)
    _, headers, body = target.got[0]
    assert verify(created.body["secret"], headers["X-OpenTrain-Signature"], body)
    assert headers["User-Agent"] == "OpenTrain-Partner-Webhooks/1.0"
    eventually(lambda: running.store.all(Delivery)[0].status == "DELIVERED")


def test_a_stop_does_not_wait_for_those_who_hang(target: Target, session: requests.Session) -> None:
    sandbox = Sandbox()
    api = client(sandbox, session)
    for _ in range(3):
        api.subscribe("project_link.created", url=target.url + "/slow")
    for number in range(5):
        api.link(str(number))
    runner = DeliveryRunner(sandbox.engine)
    runner.start()
    eventually(lambda: sandbox.engine.next_due_at() is not None and target.waiting == 12)
    start = time.monotonic()
    runner.stop(seconds=0.3)
    assert time.monotonic() - start < 2
    target.release.set()
    eventually(lambda: len(target.got) == 12)
    runner.stop(seconds=5)
    sandbox.close()


def test_redirects_are_not_followed_and_retries_come_by_the_clock(
    running: Sandbox, target: Target, session: requests.Session
) -> None:
    api = client(running, session)
    api.subscribe("project_link.created", url=target.url + "/moved")
    api.link()
    eventually(lambda: len(target.got) == 2)  # a minute later: a second of ours
    assert target.paths() == ["/moved"] * 2
    (only,) = running.store.all(Delivery)
    eventually(lambda: len(only.attempts) == 2)
    assert all("Cookie" not in headers for _, headers, _ in target.got)
    first, second = only.attempts
    assert first.error == "HTTP 302"
    assert second.at - first.at >= 60


def test_a_hanging_receiver_does_not_stop_others(
    running: Sandbox, target: Target, session: requests.Session
) -> None:
    api = client(running, session)
    api.subscribe("project_link.created", url=target.url + "/slow")
    for number in range(20):
        api.link(f"slow {number}")
    api.subscribe("project_link.removed", url=target.url + "/ok")
    link_id = api.get("/project-links").body["projectLinks"][0]["id"]
    api.call("DELETE", f"/project-links/{link_id}")
    eventually(lambda: "/ok" in target.paths())
    assert "/slow" not in target.paths()
    target.release.set()
    eventually(lambda: target.paths().count("/slow") == 20)


def test_a_receiver_has_ten_seconds(
    target: Target, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DELIVERY_TIMEOUT_SECONDS == 10
    monkeypatch.setattr(catalog, "DELIVERY_TIMEOUT_SECONDS", 0.2)
    sandbox = Sandbox(speed=0)
    api = client(sandbox, session)
    api.subscribe("project_link.created", url=target.url + "/slow")
    api.link()
    assert sandbox.deliver_due() == 1
    assert sandbox.store.all(Delivery)[0].attempts[0].error == "ReadTimeout"
    sandbox.close()


def test_the_machines_proxies_and_netrc_take_no_part(
    target: Target, session: requests.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login intruder password hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    sandbox = Sandbox(speed=0)
    api = client(sandbox, session)
    api.subscribe("project_link.created", url=target.url + "/ok")
    api.link()
    sandbox.deliver_due()
    [(_, headers, _)] = target.got
    assert "Authorization" not in headers
    sandbox.close()


def test_nobody_listens(session: requests.Session) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        free_port = unused.getsockname()[1]
    sandbox = Sandbox(speed=0, sender=HttpSender())
    api = client(sandbox, session)
    api.subscribe("project_link.created", url=f"http://127.0.0.1:{free_port}/")
    api.link()
    assert sandbox.deliver_due() == 1
    assert sandbox.store.all(Delivery)[0].attempts[0].error == "ConnectionError"
    sandbox.close()
