"""What this package costs, as a table, beside the least that would do the same work.

::

    python -m benchmarks                          all of it, an hour or so
    python -m benchmarks events usage             some of it
    python -m benchmarks events --against v0.1.0  beside another build of this project, in turns

Run it on a machine that does nothing else, and twice: the load is printed before and after. ``python -m
benchmarks.NAME --help`` shows what can be set; here each runs as it is by default. Another build's code is checked
out beside this one, and measured by this one's benchmarks. Servers: PostgreSQL on 127.0.0.1; others by
``BENCHMARK_DATABASE`` where a benchmark allows it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.lines import Line, read, table

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
#: Those that are no measurement themselves.
PARTS = {"__init__", "__main__", "lines", "settings", "settled", "site", "starting", "urls"}
NAMES = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in PARTS)


def measured(name: str, checkout: Path) -> list[Line]:
    """What one benchmark gives in this checkout. Raises ``CalledProcessError``; its output has been shown."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return read(done.stdout)


def median_of(runs: list[list[Line]]) -> list[Line]:
    """The lines of several runs as one, each value the median of its own."""
    by_name: dict[str, list[Line]] = {}
    for line in (line for run in runs for line in run):
        by_name.setdefault(line.name, []).append(line)
    return [_median(lines) for lines in by_name.values()]


def _median(lines: list[Line]) -> Line:
    floors = [line.floor for line in lines if line.floor is not None]
    floor = statistics.median(floors) if floors else None
    return replace(lines[0], ours=statistics.median(line.ours for line in lines), floor=floor)


@contextmanager
def checked_out(ref: str) -> Iterator[Path]:
    """Another build's code, with this one's benchmarks."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "build")
        git = ["git", "-C", str(CHECKOUT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(checkout), ref], check=True)
        try:
            shutil.rmtree(checkout / "benchmarks", ignore_errors=True)
            shutil.copytree(HERE, checkout / "benchmarks")
            yield checkout
        finally:
            subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


def reported(name: str, rounds: int, other: Path | None) -> bool:
    """Measure in turns, and print; False if the benchmark failed."""
    ours, before = [], []
    print(f"\n{name}\n", flush=True)
    try:
        for _round in range(rounds):
            if other:
                before.append(measured(name, other))
            ours.append(measured(name, CHECKOUT))
    except subprocess.CalledProcessError as error:
        print(f"failed, with {error.returncode}", flush=True)
        return False
    print(*table(median_of(ours), {line.name: line for line in median_of(before)}), sep="\n", flush=True)
    return True


def report(names: list[str], rounds: int, other: Path | None) -> None:
    """Report one after the other; one that fails doesn't stop the others. Raises ``SystemExit`` with its name."""
    if failed := [name for name in names if not reported(name, rounds, other)]:
        raise SystemExit(f"Failed: {', '.join(failed)}")


def load() -> str:
    """The machine's, over the last minute, five and fifteen."""
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def main() -> None:
    """Measure and print what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--against", metavar="REF", help="a commit of this project")
    parser.add_argument(
        "--rounds", type=int, default=1, help="how often each is measured; medians are printed"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    print(f"load before: {load()}")
    if options.against:
        with checked_out(options.against) as other:
            report(options.names or NAMES, options.rounds, other)
    else:
        report(options.names or NAMES, options.rounds, None)
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
