"""The processes of a demo: started with their logs in files, and all stopped at the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

#: Seconds in which a process may end after SIGTERM.
TIMEOUT: Final = 10.0
_STEP: Final = 0.1
STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


class ProcessFailed(Exception):  # noqa: N818 - says what happened
    """A process ended unexpectedly, or was never ready."""


class Process:
    """One process, in a process group of its own so that its children end with it."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise ``ProcessFailed`` when it has ended."""
        if self.has_ended:
            raise ProcessFailed(f"{self.name} ended with status {self._process.returncode}.")

    def wait(self, seconds: float) -> None:
        """Wait for its end. Raises ``ProcessFailed`` if it doesn't end in time, or with an error."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} didn't end within {seconds:g} s.") from None
        if status:
            raise ProcessFailed(f"{self.name} ended with status {status}.")

    def wait_for_line(self, text: str, seconds: float) -> str:
        """The first line of its log that has ``text``. Raises ``ProcessFailed``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
                if text in line:
                    return line
            self.check()
            time.sleep(_STEP)
        raise ProcessFailed(f"{self.name} wasn't ready within {seconds:g} s.")

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def ask_to_end(self) -> None:
        """Send SIGTERM: it may finish its work, and ends its children itself."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Kill it and its children if any is left after ``deadline`` (monotonic seconds)."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(deadline - time.monotonic(), 0))
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Processes:
    """All processes of a demo, which end with ``close``."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = dict(environment)
        self.logs = logs
        self.running: list[Process] = []

    def start(self, name: str, *arguments: str) -> Process:
        """``python -m`` the arguments, in the background."""
        with undisturbed():
            process = Process(name, arguments, self.environment, self.logs / f"{name}.log")
            self.running.append(process)
        return process

    def run(self, name: str, *arguments: str, seconds: float = 120) -> None:
        """``python -m`` the arguments, to the end. Raises ``ProcessFailed``."""
        process = self.start(name, *arguments)
        process.wait(seconds)
        self.running.remove(process)

    def watch(self) -> NoReturn:
        """Wait until one ends unexpectedly. Raises ``ProcessFailed``."""
        while True:
            for process in self.running:
                process.check()
            time.sleep(_STEP)

    def to_blame(self) -> list[Process]:
        """Those that have ended, or all if none has: their logs show what went wrong."""
        return [process for process in self.running if process.has_ended] or self.running

    def close(self) -> None:
        """Stop all, the last started first. A second Ctrl-C doesn't leave some behind."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self.running):
            process.ask_to_end()
        deadline = time.monotonic() + TIMEOUT
        for process in reversed(self.running):
            process.end(deadline)
        self.running.clear()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a Ctrl-C wait for the end of the block: a process that it keeps off the list would be left behind."""
    waiting: list[int] = []
    before = [
        (number, signal.signal(number, lambda number, _: waiting.append(number))) for number in STOPPING
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    for came in waiting:
        signal.raise_signal(came)


def free_port() -> int:
    """A free port on 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
