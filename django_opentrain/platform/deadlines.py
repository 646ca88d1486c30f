"""How long a server may take for an answer, as a whole: OpenTrain, and a mail server.

Sockets limit each wait for bytes, not their sum: what arrives one byte at a time would hold a worker for hours.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

#: The longest that a call takes, with its retries: less than the lease under which it is made.
MAX_CALL_SECONDS: Final = 240.0


class Attempt:
    """One attempt to get a response: how long it may take, and how far it came."""

    def __init__(self, *, seconds: float, latest: float = math.inf) -> None:
        """``seconds`` for the response, once connected, but not after ``latest`` (``time.monotonic``)."""
        self._seconds = seconds
        self._latest = latest
        #: False while a connection is made, with its tunnel and TLS: what fails then was never sent.
        self.connected = True
        self.deadline = self._deadline()

    def _deadline(self) -> float:
        return min(time.monotonic() + self._seconds, self._latest)

    def remaining(self) -> float:
        """Seconds until the deadline. Raises ``TimeoutError`` when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the response took too long")
        return seconds

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """The block's time doesn't count as the response's."""
        self.connected = False
        yield
        self.connected = True
        self.deadline = self._deadline()


#: The attempt for which this thread uses its connections.
current_attempt: ContextVar[Attempt] = ContextVar("attempt")


@contextmanager
def attempting(attempt: Attempt) -> Iterator[None]:
    """Requests in the block, with a session of ``connections.build_session``, belong to ``attempt``."""
    token = current_attempt.set(attempt)
    try:
        yield
    finally:
        current_attempt.reset(token)


class BoundedReads(io.RawIOBase):
    """What a socket receives, until the attempt's deadline."""

    def __init__(self, received: io.RawIOBase, sock: Any, attempt: Attempt) -> None:
        self._received = received
        self._sock = sock
        self._attempt = attempt

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        usual = self._sock.gettimeout()
        self._sock.settimeout(min(usual, self._attempt.remaining()))
        try:
            return self._received.readinto(buffer)
        finally:
            self._sock.settimeout(usual)  # the connection is kept

    def close(self) -> None:
        self._received.close()
        super().close()
