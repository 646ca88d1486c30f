"""What an hour costs in which nothing happens: statements, CPU and calls of 5,000 customers.

::

    python -m benchmarks.idle [--installs 50] [--contracts 20] [--links 2] [--hours 3]

Everything is settled: each customer has so many contracts, each with a trainer who has access to each linked project.
They have their turns at the same minute, as so many of 5,000 have.
The clock is simulated: each half minute Celery beat's schedule says which tasks run, and they run in this process.
First without any customer, then with so many, from whom 5,000 are extrapolated. CPU is this process's; its statements
are counted in other hours, since that costs CPU. Calls get canned answers, so no network and no server is in it; the
floor is the CPU of the same calls with ``requests`` alone.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import timezone as tz
from importlib.util import find_spec
from typing import Any
from unittest import mock

from celery import current_app
from celery.schedules import crontab
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks import settled
from benchmarks.lines import Line, command
from django_opentrain.models import Contract, Install
from django_opentrain.schedule import BEAT_SCHEDULE
from django_opentrain.testing.environment import StoppedClock, django_clock
from tests.factories import make_event

INSTALLS = 5000
#: Of that many customers, in an hour.
WANTED_STATEMENTS, WANTED_CPU, WANTED_CALLS = 60_000, 60, 15_000
STEP = timedelta(seconds=30)
DAY = timedelta(days=1)
BEGIN = datetime(2026, 11, 30, 12, tzinfo=tz.utc)


@dataclass
class Beat:
    """Celery beat, and a worker that does at once what it sends."""

    clock: StoppedClock
    answers: settled.Answers

    def run(self, hours: float) -> None:
        """What is scheduled in that time."""
        for _step in range(round(timedelta(hours=hours) / STEP)):
            for entry in BEAT_SCHEDULE.values():
                if self._is_due(entry["schedule"]):
                    current_app.tasks[entry["task"]](**entry.get("kwargs", {}))
            self.clock.advance(STEP.total_seconds())

    def _is_due(self, schedule: crontab | float) -> bool:
        if not isinstance(schedule, crontab):
            return self.clock.now() % schedule < STEP.total_seconds()
        now, times = datetime.fromtimestamp(self.clock.now(), tz=tz.utc), vars(schedule)
        return now.hour in times["hour"] and now.minute in times["minute"] and now.second < STEP.seconds

    def measure(self, hours: float) -> dict[str, float]:
        """What an hour costs; ``bare`` is the CPU of its calls with ``requests`` alone."""
        del self.answers.calls[:]
        began = time.process_time()
        self.run(hours)
        cpu, calls = time.process_time() - began, list(self.answers.calls)
        began = time.process_time()
        self.answers.bare(calls)
        bare = time.process_time() - began
        connection.queries_log = deque()  # of any length
        with CaptureQueriesContext(connection) as statements:
            self.run(hours)
        costs = {"statements": len(statements), "seconds": cpu, "calls": len(calls), "bare": bare}
        return {name: cost / hours for name, cost in costs.items()}


@contextmanager
def one_minute() -> Iterator[None]:
    """All turns are at the same minute of the hour; where installs have turns at all."""
    name = "django_opentrain.services.workers.turns"
    if find_spec(name) is None:
        yield
        return
    with mock.patch(f"{name}.MINUTES", 1):
        yield


def settle(installs: Sequence[Install], now: datetime) -> None:
    """They have been in use for long: events have arrived, syncs have found nothing, the last ones in turn."""
    synced: dict[str, Any] = {"reconcile_summary": {"changes": [], "held": [], "problems": []}}
    if hasattr(Install, "in_sync_since"):
        synced["in_sync_since"] = now - 2 * DAY
    for number, install in enumerate(installs):
        make_event(install.webhook_endpoints.get(), status="PROCESSED", received_at=now - 2 * DAY)
        ago = timedelta(hours=number % 3)
        Install.objects.filter(pk=install.pk).update(reconciled_at=now - ago, **synced)


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What an hour costs, of 5,000 customers."""
    clock = StoppedClock(BEGIN.timestamp())
    with settled.site(), django_clock(clock), one_minute():
        with settled.answering() as answers:
            Beat(clock, answers).run(1)
            alone = Beat(clock, answers).measure(1)
        now = clock.datetime()
        installs = settled.hire(options.installs, options.contracts, options.links, read_at=(now - DAY, DAY))
        Contract.objects.update(
            funded_volume=100, consumed_volume=10, remaining_volume=90, consumed_fraction="0.1"
        )
        settle(installs, now)
        with settled.answering() as answers:
            beat = Beat(clock, answers)
            beat.run(options.hours)  # until each customer's turn has come
            hour = beat.measure(options.hours)
    many = {
        name: alone[name] + (cost - alone[name]) * INSTALLS / options.installs for name, cost in hour.items()
    }
    about = f"{INSTALLS:,} customers, {options.contracts * INSTALLS:,} contracts"
    yield Line(name=about, unit="statements", ours=many["statements"], limit=WANTED_STATEMENTS)
    yield Line(name=about, unit="s CPU", ours=many["seconds"], floor=many["bare"], limit=WANTED_CPU)
    yield Line(name=about, unit="calls", ours=many["calls"], limit=WANTED_CALLS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--installs", type=int, default=50)
    parser.add_argument("--contracts", type=int, default=20)
    parser.add_argument("--links", type=int, default=2)
    parser.add_argument("--hours", type=float, default=3)
    command(measure, parser)


if __name__ == "__main__":
    main()
