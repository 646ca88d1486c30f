"""An HTTP server on a local port that follows a script and records the requests."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    method: str
    target: str  # path and query, still encoded
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class ScriptedServer:
    """``script`` is what the next requests get, in order; whatever comes after gets no answer."""

    url: str = ""
    script: deque[Answering] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)

    def answers(self, status: int, document: object, **headers: str) -> None:
        """Answer the next request with JSON. ``headers`` by their names, with _ for -."""
        self.sends(status, json.dumps(document).encode(), **{"Content_Type": "application/json", **headers})

    def refuses(self, status: int, code: str, **envelope: object) -> None:
        """Answer the next request with OpenTrain's error envelope."""
        self.answers(status, {"error": "No.", "code": code, "requestId": "req_7", "details": {}, **envelope})

    def sends(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer the next request with exactly this body."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.script.append(answer)

    def sends_chunks(self, *chunks: bytes, ends: bool = True) -> None:
        """Answer the next request in chunks, and without ``ends`` hang up before the last."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for chunk in chunks:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if ends:
                handler.wfile.write(b"0\r\n\r\n")
            else:
                _hang_up(handler)

        self.script.append(answer)

    def drops(self) -> None:
        """Take the next request and close the connection without an answer."""
        self.script.append(_hang_up)

    def cuts_short(self, status: int = 200) -> None:
        """Announce a longer body than is sent, and close the connection."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", "500")
            handler.send_header("X-Request-Id", "req_cut")
            handler.end_headers()
            handler.wfile.write(b'{"install": {"id": "in')
            _hang_up(handler)

        self.script.append(answer)

    def drips(
        self, pause: float, *, after: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    ) -> None:
        """Send ``after``, then one byte at a time until the client hangs up: a body, or where ``after`` ends."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.close_connection = True
            handler.wfile.write(after)
            with suppress(OSError):  # the client hangs up
                while True:
                    handler.wfile.write(b"1")
                    time.sleep(pause)

        self.script.append(answer)


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def setup(self) -> None:
            server.connections.append(self.request)
            super().setup()

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.received.append(Received(self.command, self.path, dict(self.headers.items()), body))
            server.script.popleft()(self)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    for method in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for them

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the script."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """A server on a free port."""
    scripted = ScriptedServer()
    server = _QuietServer(("127.0.0.1", 0), _handler(scripted))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scripted.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        for connection in scripted.connections:  # that a client keeps open
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        server.server_close()
