"""What an hour costs in which nothing happens: statements, CPU and calls of 5,000 customers.

::

    python -m benchmarks.idle [--installs 50] [--contracts 20] [--links 2] [--hours 3]

Everything is settled: each customer has so many contracts, each with a trainer who has access to each linked project.
They have their turns at the same minute, as so many of 5,000 have.

The clock is simulated: each half minute Celery beat's schedule says which tasks run, and they run in this process.
Tasks that make a call, or plan the turns, count for as many customers as 5,000 are; others once. Calls get canned
answers, so no network and no server is in it: CPU is this process's, and the floor is that of the same calls with
``requests`` alone. Statements are counted in other hours, since that costs CPU.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import timezone as tz
from importlib.util import find_spec
from typing import Any
from unittest import mock

from celery.schedules import crontab
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks import settled
from benchmarks.lines import Line, command
from django_opentrain import tasks
from django_opentrain.models import Contract, Install
from django_opentrain.schedule import BEAT_SCHEDULE
from django_opentrain.testing.environment import StoppedClock, django_clock
from tests.factories import make_event

INSTALLS = 5000
#: Of that many customers, in an hour.
WANTED_STATEMENTS, WANTED_CPU, WANTED_CALLS = 60_000, 60, 15_000
STEP = timedelta(seconds=30)
DAY = timedelta(days=1)
#: Looks at all customers.
PLANNING = "django_opentrain.reconcile_all"
BEGIN = datetime(2026, 11, 30, 12, tzinfo=tz.utc)


@dataclass
class Beat:
    """Celery beat, and a worker that does at once what it sends."""

    clock: StoppedClock
    answers: settled.Answers

    def run(self, hours: float, spent: Callable[[], float]) -> tuple[float, float]:
        """Run what is scheduled; returns what is spent however many customers there are, and what on these."""
        alone = on_customers = 0.0
        for _step in range(round(timedelta(hours=hours) / STEP)):
            for entry in BEAT_SCHEDULE.values():
                if self._is_due(entry["schedule"]):
                    before, calls = spent(), len(self.answers.calls)
                    self._send(entry)
                    cost = spent() - before
                    if len(self.answers.calls) > calls or entry["task"] == PLANNING:
                        on_customers += cost
                    else:
                        alone += cost
            self.clock.advance(STEP.total_seconds())
        return alone / hours, on_customers / hours

    def _send(self, entry: dict[str, Any]) -> None:
        task = getattr(tasks, entry["task"].removeprefix("django_opentrain."))
        task(**entry.get("kwargs", {}))

    def _is_due(self, schedule: crontab | float) -> bool:
        if not isinstance(schedule, crontab):
            return self.clock.now() % schedule < STEP.total_seconds()
        now, times = datetime.fromtimestamp(self.clock.now(), tz=tz.utc), vars(schedule)
        return now.hour in times["hour"] and now.minute in times["minute"] and now.second < STEP.seconds


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
    Contract.objects.update(
        funded_volume=100, consumed_volume=10, remaining_volume=90, consumed_fraction="0.1"
    )
    synced: dict[str, Any] = {"reconcile_summary": {"changes": [], "held": [], "problems": []}}
    if hasattr(Install, "in_sync_since"):
        synced["in_sync_since"] = now - 2 * DAY
    for number, install in enumerate(installs):
        make_event(install.webhook_endpoints.get(), status="PROCESSED", received_at=now - 2 * DAY)
        last = now - timedelta(hours=number % 3)
        if hasattr(Install, "asserted_at"):
            synced["asserted_at"] = last
        Install.objects.filter(pk=install.pk).update(reconciled_at=last, **synced)


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What an hour costs, of 5,000 customers."""
    clock, hours = StoppedClock(BEGIN.timestamp()), options.hours
    scale = INSTALLS / options.installs
    about = f"of {INSTALLS:,} customers with {options.contracts * INSTALLS:,} contracts"
    with settled.site(), django_clock(clock), one_minute():
        now = clock.datetime()
        installs = settled.hire(options.installs, options.contracts, options.links, read_at=(now - DAY, DAY))
        settle(installs, now)
        with settled.answering() as answers:
            beat = Beat(clock, answers)
            beat.run(hours, time.process_time)  # until each customer's turn has come
            del answers.calls[:]
            alone, on_customers = beat.run(hours, time.process_time)
            calls = list(answers.calls)
            began = time.process_time()
            answers.bare(calls)
            bare = (time.process_time() - began) / hours
            yield Line(
                name=f"calls {about}", unit="an hour", ours=scale * len(calls) / hours, limit=WANTED_CALLS
            )
            cpu = alone + scale * on_customers
            yield Line(name=f"CPU {about}", unit="s an hour", ours=cpu, floor=scale * bare, limit=WANTED_CPU)
            connection.queries_log = deque()  # of any length
            with CaptureQueriesContext(connection):
                alone, on_customers = beat.run(hours, lambda: len(connection.queries_log))
    statements = alone + scale * on_customers
    yield Line(name=f"statements {about}", unit="an hour", ours=statements, limit=WANTED_STATEMENTS)


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
