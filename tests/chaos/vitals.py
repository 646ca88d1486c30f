"""Whether a long run stays as it began: the memory of each process, and how long events wait, minute by minute."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

from django_opentrain.models import WebhookEvent
from tests.chaos.crew import Crew, children_of

#: Seconds between two samples of the memory.
EVERY: Final = 10.0
MINUTE: Final = timedelta(minutes=1)
_PSS: Final = re.compile(r"^Pss: +(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """What one member of the crew, with its children, took at one time."""

    minute: int
    member: str
    megabytes: float


class Vitals:
    """Samples while a run goes on, and a table at its end."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._started = time.monotonic()
        self._next = self._started
        self._samples: list[Sample] = []

    def sample(self) -> None:
        """Look at the memory, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        minute = int((now - self._started) / 60)
        self._samples += [
            Sample(minute, name, taken) for name, pid in self._crew.running() if (taken := memory_of(pid))
        ]

    def table(self) -> Iterator[str]:
        """For each minute: how many events came, how long they waited, and the memory (MB) of each member."""
        members = sorted({sample.member for sample in self._samples})
        yield " | ".join(["minute", "events", "waited", "95 %", *members])
        waits = dict(_waits())
        for minute, samples in groupby(self._samples, key=lambda sample: sample.minute):
            taken = list(samples)
            waited = waits.get(minute, [])
            cells = [str(minute), str(len(waited)), *_seconds(waited)]
            cells += [_megabytes(taken, member) for member in members]
            yield " | ".join(cells)


def memory_of(pid: int) -> float:
    """A process's memory and its children's, in MB: what they share counts once (Linux). 0 if it has ended."""
    total = 0.0
    with suppress(OSError):
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
        total = int(found[1]) / 1024 if found else 0.0
    return total + sum(map(memory_of, children_of(pid)))


def _waits() -> Iterator[tuple[int, list[float]]]:
    """Per minute since the first event: the seconds from its arrival to its effect, of each that had one."""
    rows = WebhookEvent.objects.filter(status=WebhookEvent.Status.PROCESSED).order_by("received_at")
    times = list(rows.values_list("received_at", "processed_at"))
    for minute, group in groupby(times, key=lambda each: (each[0] - times[0][0]) // MINUTE):
        yield minute, [(processed - received).total_seconds() for received, processed in group if processed]


def _seconds(waited: Sequence[float]) -> tuple[str, str]:
    if len(waited) < 2:
        return "-", "-"
    return f"{statistics.median(waited):.3f}", f"{statistics.quantiles(waited, n=20)[-1]:.3f}"


def _megabytes(samples: Sequence[Sample], member: str) -> str:
    mine = [sample.megabytes for sample in samples if sample.member == member]
    return f"{statistics.median(mine):.0f}" if mine else "-"
