"""What happened in a run, so that a violation can be shown with what led to it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

#: Kinds of entries that concern everybody.
_EVERYBODYS: Final = frozenset({"kill", "broker", "db", "beat", "adapter", "crash", "mail", "opentrain"})
_TRACE_LINES: Final = 60


class Journal:
    """Lines of JSON in a file. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._file = path.open("w", encoding="utf-8")
        self._entries: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()

    def write(self, kind: str, what: str, **details: object) -> None:
        """``details``: the ids of what it concerns, and what came of it."""
        moment = round(time.monotonic() - self._started, 2)
        entry = {"t": moment, "kind": kind, "what": what, **details}
        with self._lock:
            self.counts[f"{kind}: {what}"] += 1
            self._entries.append(entry)
            self._file.write(json.dumps(entry, default=str) + "\n")
            self._file.flush()

    def trace(self, ids: Iterable[str]) -> list[str]:
        """The entries about these ids and, between them, about everybody; the last ones."""
        wanted = {each for each in ids if each}
        with self._lock:
            about = [entry for entry in self._entries if wanted & {str(value) for value in entry.values()}]
            first = min((entry["t"] for entry in about), default=0)
            chosen = [
                entry
                for entry in self._entries
                if entry in about or (entry["kind"] in _EVERYBODYS and entry["t"] >= first - 5)
            ]
        return [json.dumps(entry, default=str) for entry in chosen[-_TRACE_LINES:]]

    def of_kind(self, kind: str) -> dict[str, int]:
        """How many entries of this kind there are, by what they say."""
        start = f"{kind}: "
        return {name[len(start) :]: n for name, n in self.counts.items() if name.startswith(start)}

    def count(self, *kinds: str) -> int:
        """How many entries of these kinds there are."""
        return sum(number for name, number in self.counts.items() if name.split(":")[0] in kinds)

    def close(self) -> None:
        self._file.close()
