"""Celery's soft time limit, which ends a task wherever it is, in the host's code as well."""

from __future__ import annotations

import sys


def soft_time_limit() -> tuple[type[Exception], ...]:
    """What Celery raises, for ``except`` and ``isinstance``: its ``SoftTimeLimitExceeded``.

    Nothing in a process that hasn't loaded Celery, where no task runs: it isn't loaded for this.
    """
    kind = getattr(sys.modules.get("celery.exceptions"), "SoftTimeLimitExceeded", None)
    return () if kind is None else (kind,)
