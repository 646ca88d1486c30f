"""Print the closing lines of every pytest run in the given logs, and their sum: "N passed, N failed"."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CLOSING = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$")
COUNT = re.compile(r"(\d+) ([a-z]+)")


def closing_lines(log: Path) -> list[str]:
    """What each pytest run in ``log`` ended with, such as "490 passed, 1 skipped"."""
    lines = (COLOURS.sub("", line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines())
    return [found[1] for found in map(CLOSING.match, lines) if found]


def main(logs: list[Path]) -> None:
    """Print one line per run, then the sum over all of them."""
    total: Counter[str] = Counter()
    for log in logs:
        for line in closing_lines(log):
            print(f"{log.stem}: {line}")
            total.update({word: int(count) for count, word in COUNT.findall(line)})
    print(f"{total['passed']} passed, {total['failed'] + total['error'] + total['errors']} failed")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
