"""What a test needs around it: a clock of its own, settings without surprises, and commits that happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Final
from unittest import mock

from django.db import connections, router

from django_opentrain.conf import conf
from django_opentrain.models import Install
from django_opentrain.sandbox import Clock

#: By how much the clock moves on at each look, in seconds: what comes later is later, as in life.
TICK: Final = 1e-5


class StoppedClock(Clock):
    """OpenTrain's time and ours: it stands still until it is moved, so that no test depends on its own speed.

    But for a tick at each look of ours: two things that happen one after the other have different times.
    """

    def __init__(self, start: float) -> None:
        super().__init__(speed=0, start=start)

    def wall(self) -> float:
        """What webhooks are stamped with: here both clocks are the same."""
        return self.now()

    def datetime(self) -> datetime:
        """What ``django.utils.timezone.now()`` answers while the kit is in use."""
        self.advance(TICK)
        return datetime.fromtimestamp(self.now(), tz=timezone.utc)


@contextmanager
def django_clock(clock: StoppedClock) -> Iterator[None]:
    """Let ``timezone.now()`` return the time of ``clock``."""
    with mock.patch("django.utils.timezone.now", clock.datetime):
        yield


@contextmanager
def forced_settings(values: Mapping[str, Any]) -> Iterator[None]:
    """Keep keys of ``OPENTRAIN`` at these values, whatever the site or the test sets.

    Not ``override_settings``: a test that changes the setting again would unwind the two in the wrong order.
    """
    configured = conf.configured

    def forced() -> Mapping[str, Any]:
        return {**configured(), **values}

    # On the object: Python 3.13.0 goes on with a class's `__getitem__` once that has changed a thousand times.
    with mock.patch.object(conf, "configured", forced):
        yield


@contextmanager
def committing() -> Iterator[None]:
    """Run, at the end of the block, what it left for after the commit.

    The transaction around a ``TestCase``'s test never commits, and neither do those within it.
    """
    connection = connections[router.db_for_write(Install)]
    start = len(connection.run_on_commit)
    yield
    while len(connection.run_on_commit) > start:
        # Taken out, so that Django's own captureOnCommitCallbacks around us doesn't run it once more.
        connection.run_on_commit.pop(start)[1]()
