"""A limit to how long the body of a delivery may take, where the web server shows its socket, as gunicorn does.

A thread of gunicorn's waits for a body for as long as its sender likes. So another one, one per process, looks each
second for those that take too long, and ends their reading: what has come until then is the body.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

#: Seconds. OpenTrain waits as long for the answer to a delivery.
MAX_SECONDS: Final = 10.0
_LOOK_EVERY: Final = 1.0


class Readable(Protocol):
    """What a body can be read from."""

    def read(self, size: int, /) -> bytes: ...


class _Watch:
    """The sockets from which a body is being read."""

    def __init__(self) -> None:
        self._until: dict[socket.socket, float] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def read(self, stream: Readable, size: int, connection: socket.socket) -> bytes:
        self._until[connection] = time.monotonic() + MAX_SECONDS
        self._start()
        try:
            return stream.read(size)
        finally:
            del self._until[connection]

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="opentrain-bodies", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY)
            now = time.monotonic()
            for connection, until in self._until.copy().items():
                if until < now:
                    with suppress(OSError):  # it has just ended by itself
                        connection.shutdown(socket.SHUT_RD)


_watch = _Watch()


def _after_fork() -> None:
    """A thread doesn't survive a fork: a web server may import the site and fork then."""
    global _watch
    _watch = _Watch()


os.register_at_fork(after_in_child=_after_fork)


def read(stream: Readable, size: int, environ: Mapping[str, Any]) -> bytes:
    """The body, or its first ``size`` bytes; what came of it, if it takes more than ``MAX_SECONDS``."""
    connection: socket.socket | None = environ.get("gunicorn.socket")
    return stream.read(size) if connection is None else _watch.read(stream, size, connection)
