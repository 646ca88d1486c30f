"""Whether this Celery worker is shutting down. SIGTERM reaches its main process, and the work is done in others."""

from __future__ import annotations

import mmap
from typing import Any, Final

from celery.signals import worker_init, worker_shutting_down

#: Memory that the pool's processes share with the main process, which forks them after it has imported this.
_FLAG: Final = mmap.mmap(-1, 1)


@worker_init.connect
def _begin(**_details: Any) -> None:
    _FLAG[0] = False


@worker_shutting_down.connect
def _end(**_details: Any) -> None:
    _FLAG[0] = True


def shutting_down() -> bool:
    """Whether the worker waits for its running tasks to end. What they leave is found by the next sweep."""
    return bool(_FLAG[0])
