"""A proxy for HTTPS on a local port: it answers CONNECT by a script, and relays what comes through."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer

Answering = Callable[[StreamRequestHandler], None]


@dataclass
class Proxy:
    """``answer`` is what each CONNECT gets; None: a tunnel."""

    url: str = ""
    answer: Answering | None = None
    targets: list[str] = field(default_factory=list)

    def refuses(self, status: int) -> None:
        """Answer with this status instead of a tunnel."""
        self.answer = lambda handler: _write(handler, b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

    def hangs_up(self) -> None:
        """Close the connection without an answer."""
        self.answer = lambda _handler: None

    def drips(self, pause: float) -> None:
        """Send the headers of an answer one byte at a time, until the client hangs up."""

        def answer(handler: StreamRequestHandler) -> None:
            _write(handler, b"HTTP/1.1 200 OK\r\nX-Slow: ")
            with suppress(OSError):
                while True:
                    _write(handler, b"x")
                    time.sleep(pause)

        self.answer = answer


def _write(handler: StreamRequestHandler, content: bytes) -> None:
    handler.wfile.write(content)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _tunnel(handler: StreamRequestHandler, target: str) -> None:
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as upstream:
        _write(handler, b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pass_on, args=(upstream, handler.connection))
        back.start()
        _pass_on(handler.connection, upstream)
        back.join()


def _handler(proxy: Proxy) -> type[StreamRequestHandler]:
    class Handler(StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            method, target, _version = self.rfile.readline().decode().split()
            while self.rfile.readline().strip():
                """The headers end with an empty line."""
            proxy.targets.append(f"{method} {target}")
            if proxy.answer is None:
                _tunnel(self, target)
            else:
                proxy.answer(self)

    return Handler


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False  # server_close() waits for them


@contextmanager
def proxying() -> Iterator[Proxy]:
    """A proxy on a free port."""
    proxy = Proxy()
    server = _Server(("127.0.0.1", 0), _handler(proxy))
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
