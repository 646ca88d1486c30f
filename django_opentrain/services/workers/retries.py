"""When work is tried and retried. All of it is in columns: no message carries state."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

from django_opentrain.models import Install
from django_opentrain.models.installs import pause_after
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.services.workers import locks, wakeup

FIRST_RETRY_SECONDS: Final = 15
LONGEST_RETRY_SECONDS: Final = 3600


def request_reconcile(install: Install) -> None:
    """Reconcile this install as soon as a worker is free."""
    install.next_reconcile_at = timezone.now()
    Install.objects.filter(pk=install.pk).update(
        next_reconcile_at=install.next_reconcile_at, reconcile_attempts=0
    )
    wakeup.wake_workers_on_commit()


def backoff(attempts: int) -> timedelta:
    """How long to wait after this many failures: exponential, at most an hour, with jitter."""
    seconds = min(FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 16), LONGEST_RETRY_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.0))  # noqa: S311 - jitter, not a secret


def next_attempt(attempts: int, error: Exception | None) -> tuple[int, datetime]:
    """How many attempts count, and when the next is due, after ``attempts`` of which the last ended with ``error``.

    A pause that OpenTrain asked for is no failure: the attempt doesn't count, and the next follows when it is over.
    """
    if isinstance(error, OpenTrainError) and error.asks_for_pause:
        return attempts - 1, timezone.now() + pause_after(error)
    return attempts, timezone.now() + backoff(attempts)


def claim_attempt(
    row: models.Model,
    *,
    attempts: str = "attempts",
    next_at: str = "next_attempt_at",
    hold: timedelta | None = None,
    **changes: Any,
) -> bool:
    """Record one more attempt, before the host's code is called; False if another worker has it, or it isn't due.

    Call it outside of any transaction: so an attempt that ends its process (out of memory, a time limit) is counted,
    and backs off like one that fails. No other attempt begins before ``hold`` (by default that of a lease) and the
    backoff have passed. The caller writes the outcome to the same columns: named ``attempts`` and ``next_at``, loaded
    with ``row``. ``changes`` are written with them.
    """
    now, before = timezone.now(), getattr(row, attempts)
    due = Q(**{next_at: None}) | Q(**{f"{next_at}__lte": now})
    pause = (locks.LEASE if hold is None else hold) + backoff(before + 1)
    claimed = {attempts: before + 1, next_at: now + pause, **changes}
    rows = type(row)._default_manager.filter(due, pk=row.pk, **{attempts: before})
    if not rows.update(**claimed):
        return False
    for name, value in claimed.items():
        setattr(row, name, value)
    return True
