"""What a benchmark measured, and how it is printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

#: A cell that has nothing to say.
NOTHING: Final = "-"
#: Measures with the options of a command.
Measure = Callable[[argparse.Namespace], Iterable["Line"]]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measurement: less is better."""

    name: str
    unit: str
    ours: float
    #: What the least that would do the same work takes, in the same run.
    floor: float | None = None
    #: The smallest share of the floor's speed that is wanted (floor / ours).
    share: float | None = None
    #: The most that is wanted.
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """Our speed as a share of the floor's: 1 is as fast."""
        return None if self.floor is None or not self.ours else self.floor / self.ours

    @property
    def goal(self) -> str:
        """What is wanted, and whether it was reached."""
        if self.share is not None and self.ratio is not None:
            return f"≥ {self.share:g} of the floor: {_verdict(self.ratio >= self.share)}"
        if self.limit is not None:
            return f"≤ {self.limit:g}: {_verdict(self.ours <= self.limit)}"
        return NOTHING


def _verdict(reached: bool) -> str:
    return "yes" if reached else "NO"


def command(measure: Measure, parser: argparse.ArgumentParser) -> None:
    """Measure as the command line says, and print a table, or a JSON object per line with ``--json``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--json", action="store_true", help="a JSON object per line, for python -m benchmarks"
    )
    options = parser.parse_args()
    lines = measure(options)
    if options.json:
        for line in lines:
            print(json.dumps(asdict(line)), flush=True)
    else:
        print(*table(lines), sep="\n")


def read(output: str) -> list[Line]:
    """What a command with ``--json`` has printed."""
    return [Line(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]


def table(lines: Iterable[Line], before: dict[str, Line] | None = None) -> Iterator[str]:
    """A Markdown table; with ``before``, by name, the same of another build."""
    heads = ["", "unit", *(["before"] if before else []), "ours", "floor", "share", "goal"]
    heads += ["speed-up"] if before else []
    rows = [heads, ["---"] * len(heads), *(_cells(line, before) for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"


def _cells(line: Line, before: dict[str, Line] | None) -> list[str]:
    cells = [_number(line.ours), _number(line.floor), _number(line.ratio), line.goal]
    if before:
        old = before.get(line.name)
        cells = [_number(old.ours if old else None), *cells, _number(_faster(line, old) if old else None)]
    return [line.name, line.unit, *cells]


def _faster(line: Line, old: Line) -> float | None:
    """How often the old time is as long. By the floors, where there are: they know what else the machine did."""
    if line.ratio and old.ratio:
        return line.ratio / old.ratio
    return old.ours / line.ours if line.ours else None


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
