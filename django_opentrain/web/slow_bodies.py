"""A limit to how long the body of a delivery may take, where the web server shows its socket, as gunicorn does.

A thread of gunicorn's waits for a body for as long as its sender likes. So another one, one per process, looks each
second for those that take too long, and ends their reading: what has come until then is the body.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

#: Seconds. OpenTrain waits as long for the answer to a delivery.
MAX_SECONDS: Final = 10.0
_LOOK_EVERY: Final = 1.0


class _Watch:
    """The sockets from which a body is being read."""

    def __init__(self) -> None:
        self._until: dict[socket.socket, float] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def reading(self, environ: Mapping[str, Any]) -> Iterator[None]:
        connection: socket.socket | None = environ.get("gunicorn.socket")
        if connection is None:
            yield
            return
        self._until[connection] = time.monotonic() + MAX_SECONDS
        self._start()
        try:
            yield
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


def bounded_reading(environ: Mapping[str, Any]) -> AbstractContextManager[None]:
    """In this block, reading the body ends after ``MAX_SECONDS``: it is shorter then than it was to be."""
    return _watch.reading(environ)
