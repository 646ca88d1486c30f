"""``python -m tests.quality``: measure what README states in figures, print both, and fail where one is untrue.

A figure is marked by a comment behind it, which readers don't see: ``more than 7,500<!-- tests --> tests``. Ratios of
speed aren't here: ``benchmarks/`` measures them.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from statistics import median
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "django_opentrain"
MARKED: Final = re.compile(r"(\d[\d,]*)(?:\s?%)?<!-- ([a-z-]+) -->")
COLLECTED: Final = re.compile(r"^(\d+)(?:/\d+)? tests collected", re.MULTILINE)
PASSED: Final = re.compile(r"^(\d+) passed", re.MULTILINE)

#: A figure that is meant as "more than" says little once there is a quarter more.
STALE: Final = 1.25


class Meaning(Enum):
    """What README says with a figure."""

    EXACTLY = "exactly"
    AT_LEAST = "more than"
    AT_MOST = "at most"

    def holds(self, stated: int, measured: float) -> bool:
        """Whether it may be said of what was measured."""
        if self is Meaning.EXACTLY:
            return stated == measured
        if self is Meaning.AT_LEAST:
            return stated <= measured < max(stated * STALE, stated + 1)
        return measured <= stated


@dataclass(frozen=True)
class Figure:
    """A figure that README may state."""

    text: str
    meaning: Meaning
    measure: Callable[[], float]


def main(arguments: list[str]) -> int:
    """Print the figures, and return the exit status: 1 if README states one that isn't true, or none."""
    document = Path(arguments[0]) if arguments else ROOT / "README.md"
    stated = figures_of(document.read_text(encoding="utf-8"))
    measured = {name: figure.measure() for name, figure in FIGURES.items()}
    for name, value in measured.items():
        print(row(name, value, stated.get(name, [])))
    wrong = list(untrue(stated, measured))
    print(*wrong, sep="\n")
    if not stated:
        print(f"{document.name} states no figure.")
    return bool(wrong or not stated)


def figures_of(text: str) -> dict[str, list[int]]:
    """The marked figures of a document, by name: one may be stated more than once."""
    found: dict[str, list[int]] = {}
    for number, name in MARKED.findall(text):
        found.setdefault(name, []).append(int(number.replace(",", "")))
    return found


def row(name: str, value: float, stated: list[int]) -> str:
    """A line that shows what was measured, and what is stated."""
    said = ", ".join(f"{FIGURES[name].meaning.value} {number:,}" for number in stated) or "not stated"
    return f"{FIGURES[name].text:<52} {value:>9,g}   {said}"


def untrue(stated: dict[str, list[int]], measured: dict[str, float]) -> Iterator[str]:
    """What is wrong with what is stated."""
    for name, numbers in stated.items():
        if name not in measured:
            yield f"FAILED: nothing measures {name!r}"
            continue
        meaning = FIGURES[name].meaning
        for number in numbers:
            if not meaning.holds(number, measured[name]):
                yield f"FAILED: {name}: {meaning.value} {number:,} is stated, {measured[name]:,g} was measured"


# How each is measured ---------------------------------------------------------------------------


def pytest(*arguments: str) -> str:
    """What pytest prints."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        *arguments,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def count_tests() -> int:
    """All tests of the project, the slow ones and the browser's included."""
    found = COLLECTED.search(pytest("--collect-only"))
    return int(found[1]) if found else 0


def coverage() -> int:
    """Per cent of lines and branches, below which CI fails."""
    tox = RawConfigParser()
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    return int(tox["testenv:coverage"]["commands"].partition("--fail-under=")[2].split()[0])


def held_by(test: str, value: int) -> Callable[[], int]:
    """A figure that ``test`` asserts: -1 if it doesn't."""

    def measure() -> int:
        return value if PASSED.search(pytest(test)) else -1

    return measure


def lengths() -> list[int]:
    """Lines of each function of the package."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    functions = (node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return [(each.end_lineno or each.lineno) - each.lineno + 1 for each in functions]


def files(folder: str, pattern: str) -> Callable[[], int]:
    """The number of files of this kind, without a folder's index."""

    def measure() -> int:
        return len([path for path in (ROOT / folder).glob(pattern) if path.stem not in ("index", "README")])

    return measure


def dependencies() -> int:
    """What the package requires of itself."""
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\ndependencies = [")[2]
    return len(re.findall(r'^    "', listed.partition("\n]")[0], re.MULTILINE))


AT_LEAST, AT_MOST, EXACTLY = Meaning.AT_LEAST, Meaning.AT_MOST, Meaning.EXACTLY
RECEIVER: Final = "tests/web/test_receiver.py::test_a"
FIGURES: Final = {
    "tests": Figure("tests", AT_LEAST, count_tests),
    "coverage": Figure("per cent of lines and branches covered", EXACTLY, coverage),
    "statements-per-event": Figure(
        "statements for an event, its endpoint known",
        EXACTLY,
        held_by(f"{RECEIVER}_known_endpoint_costs_one_statement", 1),
    ),
    "statements-per-forgery": Figure(
        "statements for a forged event", EXACTLY, held_by(f"{RECEIVER}_forged_delivery_costs_none", 0)
    ),
    "function-lines": Figure("lines of a function (median)", AT_MOST, lambda: median(lengths())),
    "longest-function": Figure("lines of the longest function", AT_MOST, lambda: max(lengths())),
    "dependencies": Figure("dependencies", EXACTLY, dependencies),
    "languages": Figure(
        "languages", EXACTLY, lambda: files("django_opentrain/locale", "*/LC_MESSAGES/django.po")() + 1
    ),
    "migrations": Figure("migrations", EXACTLY, files("django_opentrain/migrations", "0*.py")),
    "runbooks": Figure("runbooks", AT_LEAST, files("docs/runbooks", "*.md")),
    "findings": Figure("findings", AT_LEAST, files("findings", "*.sh")),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
