"""Sends webhooks in the background, several at a time."""

from __future__ import annotations

import queue
import threading
import time

from django_opentrain.sandbox.delivery import DeliveryEngine, Outgoing

SENDERS = 12
#: Seconds (real ones) after which a waiting dispatcher checks in any case.
_POLL_SECONDS = 0.5
#: And when something is due, but its endpoint is kept busy already.
_WAIT_FOR_ENDPOINT = 0.02


class DeliveryRunner:
    """One thread that picks what is due, and :data:`SENDERS` that send it."""

    def __init__(self, engine: DeliveryEngine, *, senders: int = SENDERS) -> None:
        self._engine = engine
        self._stopping = threading.Event()
        self._free = threading.Semaphore(senders)
        self._claimed: queue.SimpleQueue[Outgoing | None] = queue.SimpleQueue()
        # Daemons: a receiver that hangs must not hold up the end of the process.
        self._threads = [
            threading.Thread(target=self._send, name=f"sandbox-sender-{number}", daemon=True)
            for number in range(senders)
        ]
        self._threads.append(threading.Thread(target=self._dispatch, name="sandbox-dispatcher", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, *, seconds: float = 2.0) -> None:
        """Claim nothing more, and wait up to ``seconds`` for what is under way."""
        self._stopping.set()
        changed = self._engine.store.changed
        with changed:
            changed.notify_all()
        for _ in self._threads[:-1]:
            self._claimed.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            if not self._free.acquire(timeout=_POLL_SECONDS):
                continue
            outgoing = self._engine.claim_next()
            if outgoing is None:
                self._free.release()
                self._wait()
            else:
                self._claimed.put(outgoing)

    def _wait(self) -> None:
        """Until something may have become due."""
        store = self._engine.store
        with store.changed:
            due_at = self._engine.next_due_at()
            seconds = None if due_at is None else store.clock.wall_seconds_until(due_at)
            wait = _POLL_SECONDS if seconds is None else max(_WAIT_FOR_ENDPOINT, seconds)
            if not self._stopping.is_set():
                store.changed.wait(min(wait, _POLL_SECONDS))

    def _send(self) -> None:
        while True:
            outgoing = self._claimed.get()
            if outgoing is None:
                return
            try:
                self._engine.attempt(outgoing)
            finally:
                self._free.release()
