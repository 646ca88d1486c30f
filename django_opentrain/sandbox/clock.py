"""The sandbox's clock: OpenTrain's time, which may run faster than the wall's."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone


class Clock:
    """Virtual seconds since the epoch, ``speed`` times as fast as the wall clock.

    ``speed=0`` stops it: then only :meth:`advance` moves it. It starts at ``start``, or now.

    Webhook signatures don't use it: receivers compare their timestamp with their own clock, so
    they are stamped with :meth:`wall`.
    """

    def __init__(self, *, speed: float = 1.0, start: float | None = None) -> None:
        if speed < 0:
            raise ValueError("The clock's speed is 0 (stopped) or more.")
        self.speed = speed
        self._lock = threading.Lock()
        self._wall_anchor = time.time()
        self._anchor = self._wall_anchor if start is None else start

    def now(self) -> float:
        """The sandbox's time, in seconds since the epoch."""
        with self._lock:
            return self._anchor + (time.time() - self._wall_anchor) * self.speed

    def wall(self) -> float:
        """The real time, in seconds since the epoch."""
        return time.time()

    def advance(self, seconds: float) -> None:
        """Jump ``seconds`` ahead."""
        if seconds < 0:
            raise ValueError("The clock only goes forward.")
        with self._lock:
            self._anchor += seconds

    def resume_from(self, last_seen: float, at_wall: float) -> None:
        """After a restart: go on as if it had never stopped since ``last_seen``.

        :param at_wall: what :meth:`wall` said then.
        """
        with self._lock:
            away = max(0.0, self.wall() - at_wall)
            elapsed = (self.wall() - self._wall_anchor) * self.speed
            self._anchor = max(self._anchor, last_seen + away * self.speed - elapsed)

    def wall_seconds_until(self, moment: float) -> float | None:
        """How long to really wait for ``moment``; None: without end, the clock is stopped."""
        remaining = max(0.0, moment - self.now())
        if remaining == 0:
            return 0.0
        return remaining / self.speed if self.speed else None

    def today(self) -> str:
        """The UTC day, as ``YYYY-MM-DD``."""
        return datetime.fromtimestamp(self.now(), tz=timezone.utc).date().isoformat()


def iso(moment: float) -> str:
    """``moment`` (epoch seconds) as OpenTrain writes times: ``2026-11-22T10:00:00.000Z``."""
    text = datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
