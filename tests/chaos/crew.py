"""The processes that have to be there: killed on purpose, found dead, and started again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from example_project.demo.processes import Process, Processes
from tests.chaos.journal import Journal


@dataclass
class Member:
    """One process that is to be running, except for a while after it was killed."""

    name: str
    arguments: tuple[str, ...]
    process: Process | None = None
    down_until: float = 0.0
    starts: int = field(default=0)


class Crew:
    """Keeps its members running. Processes are started from the main thread only: see :meth:`tend`."""

    def __init__(self, processes: Processes, journal: Journal) -> None:
        self._processes = processes
        self._journal = journal
        self._members: dict[str, Member] = {}
        self._lock = threading.RLock()

    def hire(self, name: str, *arguments: str) -> Process:
        """Start ``python -m`` the arguments, from now on always."""
        with self._lock:
            member = self._members[name] = Member(name, arguments)
            return self._start(member)

    def kill(self, name: str, seconds: float) -> None:
        """SIGKILL to a member and all of its children, and let it lie for a while."""
        with self._lock:
            member = self._members[name]
            member.down_until = time.monotonic() + seconds
            if member.process is not None:
                self._bury(member.process)
                member.process = None

    def kill_child(self, name: str, dice: random.Random) -> None:
        """SIGKILL to one child of a member: a web worker, or a process of a Celery worker's pool."""
        with self._lock:
            process = self._members[name].process
            children = [] if process is None else children_of(process.pid)
            if children:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(children), signal.SIGKILL)

    def dismiss(self, name: str) -> None:
        """Kill a member for good."""
        with self._lock:
            member = self._members.pop(name, None)
            if member is not None and member.process is not None:
                self._bury(member.process)

    def running(self) -> list[tuple[str, int]]:
        """The members that are up, with the ids of their processes."""
        with self._lock:
            return [(each.name, each.process.pid) for each in self._members.values() if each.process]

    def has(self, name: str) -> bool:
        return name in self._members

    def raise_all(self) -> None:
        """Processes that are down are started now."""
        with self._lock:
            for member in self._members.values():
                member.down_until = 0.0
        self.tend()

    def tend(self) -> None:
        """Start each process again that should be running and isn't."""
        with self._lock:
            members = list(self._members.values())
        for member in members:
            self._look_after(member)

    def _look_after(self, member: Member) -> None:
        with self._lock:
            if self._members.get(member.name) is not member:
                return  # dismissed since
            if member.process is not None and member.process.has_ended:
                self._journal.write("crash", member.name, last=member.process.tail(3))
                self._bury(member.process)
                member.process = None
                member.down_until = time.monotonic() + 1
            if member.process is None and time.monotonic() >= member.down_until:
                self._start(member)

    def _start(self, member: Member) -> Process:
        member.process = self._processes.start(member.name, *member.arguments)
        member.starts += 1
        return member.process

    def _bury(self, process: Process) -> None:
        process.end(0.0)
        self._processes.running.remove(process)


def children_of(pid: int) -> list[int]:
    """The processes that this one has started and that still run."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it may end while we look
            found += map(int, children.read_text().split())
    return found
