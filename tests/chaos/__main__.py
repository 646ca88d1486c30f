"""``python -m tests.chaos``: everything that can go wrong, for a while; ends 0 when nothing was lost."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import django
from django.db import connections

from tests.chaos import plan
from tests.chaos.stage import BROKER_URLS, stage

DATABASE: Final = "postgres://postgres@127.0.0.1:5432/postgres"
#: Seconds after the last fault within which all has to be well; and how many more for each minute of the run: a
#: customer with hundreds of contracts who has just connected anew has all of their work reported again.
PATIENCE: Final = 240.0
PATIENCE_PER_MINUTE: Final = 40.0


def main(argv: Sequence[str] | None = None) -> int:
    """0 when nothing is violated."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no process is left behind
    options = _parser().parse_args(argv)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    name = options.broker if options.broker != "any" else ["rabbitmq", "redis"][seed % 2]
    print(f"chaos: --seed {seed} --minutes {options.minutes:g} --broker {name}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix=f"opentrain-chaos-{seed}-"))
    (folder / "data").mkdir()
    steps = plan.make(seed, options.minutes * 60, frozenset(options.faults.split(",")), options.pace)
    with stage(folder, BROKER_URLS.get(name, name), options.database) as where:
        django.setup()
        from tests.chaos.performance import Performance  # its imports need Django to be set up

        performance = Performance(where)
        performance.play(steps)
        violations = performance.settle(PATIENCE + PATIENCE_PER_MINUTE * options.minutes)
        trace = where.journal.trace(each for violation in violations[:5] for each in violation.ids)
        vitals = performance.vitals.table() if options.vitals else ()
        summary = "\n  ".join([performance.summary(), *performance.tally(), *vitals])
        connections.close_all()
    print(f"seed {seed}: violations {len(violations)}, {summary}", flush=True)
    if violations:
        print("\n".join(["", *map(str, violations[:30]), "", "What led to the first of them:", *trace]))
        print(f"\nLogs: {folder}", flush=True)
        return 1
    if options.keep:
        print(f"Logs: {folder}", flush=True)
    else:
        shutil.rmtree(folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="the same seed makes the same plan; a fresh one when left out"
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long things go wrong")
    parser.add_argument("--faults", default=",".join(plan.FAULTS), help="kinds of faults, by commas")
    parser.add_argument("--pace", type=float, default=1.0, help="people act so many times as often")
    parser.add_argument("--vitals", action="store_true", help="show memory and waiting times by minute")
    parser.add_argument("--broker", default="rabbitmq", help=f"a URL, {', '.join(BROKER_URLS)}, or any")
    parser.add_argument("--database", default=DATABASE, help="a PostgreSQL server's URL, or sqlite")
    parser.add_argument("--keep", action="store_true", help="keep the logs also when nothing was violated")
    return parser


if __name__ == "__main__":
    sys.exit(main())
