"""What a reconciliation costs that finds nothing: statements, calls and CPU, beside its bare calls.

::

    python -m benchmarks.reconcile [--installs 10] [--contracts 20] [--links 2] [--rounds 5]

Each install has so many contracts, each with a trainer who has access to each linked project. The floor is the same
calls with ``requests`` alone, in alternating rounds; both get canned answers, so no network and no server is in it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks import settled
from benchmarks.lines import Line, command
from django_opentrain.models import Install
from django_opentrain.services import reconcile

#: Statements of one install, whatever the number of its grants.
WANTED = 25


def cpu_seconds(step: Callable[[], object]) -> float:
    """CPU time of this process."""
    began = time.process_time()
    step()
    return time.process_time() - began


def reconcile_all(installs: list[Install]) -> None:
    """Each install once. Raises ``SystemExit`` if one isn't as OpenTrain says."""
    for each in installs:
        outcome = reconcile.install(each)
        if outcome.changes or outcome.problems:
            raise SystemExit(f"Not settled: {[str(each) for each in (*outcome.changes, *outcome.problems)]}")


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What an install costs: statements, calls, and CPU beside that of the calls."""
    with settled.site():
        installs = settled.hire(options.installs, options.contracts, options.links)
        with settled.answering() as answers:
            yield from _lines(installs, answers, options)


def _lines(installs: list[Install], answers: settled.Answers, options: argparse.Namespace) -> Iterator[Line]:
    reconcile_all(installs)  # warms up
    del answers.calls[:]
    with CaptureQueriesContext(connection) as statements:
        reconcile_all(installs)
    calls, count = list(answers.calls), len(installs)
    ours, floor = [], []
    for _round in range(options.rounds):
        ours.append(1000 * cpu_seconds(lambda: reconcile_all(installs)) / count)
        floor.append(1000 * cpu_seconds(lambda: answers.bare(calls)) / count)
    about = f"{options.contracts * options.links} grants"
    yield Line(name=f"statements, {about}", unit="an install", ours=len(statements) / count, limit=WANTED)
    yield Line(
        name=f"calls, {options.links} links",
        unit="an install",
        ours=len(calls) / count,
        limit=2 + options.links,
    )
    yield Line(
        name=f"reconcile, {about}, nothing changed",
        unit="ms CPU an install",
        ours=statistics.median(ours),
        floor=statistics.median(floor),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile", description=__doc__)
    parser.add_argument("--installs", type=int, default=10)
    parser.add_argument("--contracts", type=int, default=20)
    parser.add_argument("--links", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    command(measure, parser)


if __name__ == "__main__":
    main()
