"""When something is tried, or tried again. All of it is columns: no message carries state."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from django.utils import timezone

from django_opentrain.models import Install
from django_opentrain.services.workers import wakeup

FIRST_RETRY_SECONDS: Final = 15
LONGEST_RETRY_SECONDS: Final = 3600


def request_reconcile(install: Install) -> None:
    """Reconcile this install as soon as a worker is free."""
    Install.objects.filter(pk=install.pk).update(next_reconcile_at=timezone.now(), reconcile_attempts=0)
    wakeup.wake_workers_on_commit()


def backoff(attempts: int) -> timedelta:
    """How long to wait after this many failures: exponential, at most an hour, with jitter."""
    seconds = min(FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 16), LONGEST_RETRY_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.0))  # noqa: S311 - jitter, not a secret
