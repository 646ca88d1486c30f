"""The HTTP transport: a threaded HTTP/1.1 server with keep-alive, from the standard library."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django_opentrain.sandbox.app import SandboxApp
from django_opentrain.sandbox.errors import ApiError
from django_opentrain.sandbox.http import Response, error_response

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 2_000_000
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class SandboxServer(ThreadingHTTPServer):
    """Serves a :class:`SandboxApp`; port 0 takes a free one (see :attr:`url`).

    It has its address from the beginning; connections before :meth:`start` wait.
    """

    daemon_threads = True
    request_queue_size = 128
    app: SandboxApp

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sandbox-http", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{shown}:{port}"

    def start(self, app: SandboxApp) -> None:
        """Serve ``app`` in a thread of its own."""
        self.app = app
        self._thread.start()

    def stop(self) -> None:
        """End it: no new connections, idle ones closed."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            open_connections = list(self._connections)
        for connection in open_connections:
            with contextlib.suppress(OSError):  # the peer may have closed it first
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def _run(self) -> None:
        self.serve_forever(poll_interval=0.05)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that closed the connection is nothing to report."""
        del request
        logger.debug("The connection from %s broke off", client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    #: Seconds that an idle connection is kept.
    timeout = 75
    server: SandboxServer

    def _respond(self) -> None:
        body = self._read_body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        headers = dict(self.headers.items())
        try:
            response = self.server.app.handle(self.command, path, query, headers, body)
        except Exception:  # the sandbox has a bug: say so to its client, and in the log
            logger.exception("%s %s failed", self.command, path)
            response = error_response(ApiError("INTERNAL_ERROR", "The sandbox failed: see its log"))
        self.server.stopping.wait(response.delay_seconds)
        self._write(response)

    def __getattr__(self, name: str) -> Any:
        """The app decides about every method: http.server looks for ``do_GET`` and the like."""
        if name.startswith("do_"):
            return self._respond
        raise AttributeError(name)

    def _read_body(self) -> bytes | None:
        """The request's body; None after an error was sent, for one without a usable length."""
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > 9 or int(length) > MAX_REQUEST_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            self.close_connection = True  # the client closed the connection in the middle
        return None

    def _write(self, response: Response) -> None:
        """One write: head and body in one packet wherever they fit."""
        if response.drop:
            self.close_connection = True
            return
        phrase = _PHRASES.get(response.status, "Unknown")
        lines = [f"HTTP/1.1 {response.status} {phrase}", f"Date: {self.server.app.date_header()}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines.append(f"Content-Length: {len(response.body)}")
        if response.truncate or self.close_connection:
            lines.append("Connection: close")
            self.close_connection = True
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = b"" if self.command == "HEAD" else response.body
        self.wfile.write(head + (body[: len(body) // 2] if response.truncate else body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Requests aren't logged: queries may hold what no log should."""


@contextlib.contextmanager
def serving(app: SandboxApp, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve ``app`` for the length of a ``with`` block, which gets the URL."""
    server = SandboxServer(host, port)
    server.start(app)
    try:
        yield server.url
    finally:
        server.stop()
