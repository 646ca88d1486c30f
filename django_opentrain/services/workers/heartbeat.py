"""Signs of life: what runs on a schedule writes down that it ran, so that others can tell when it stops."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from django_opentrain.models import Heartbeat, WebhookEvent

#: Beat's sweep: it takes both beat and a worker. Or a round of ``opentrain_work``, where there is no Celery.
SWEEP: Final = "sweep"
#: The longest pause that is normal: cron runs once a minute, and a round may take a while.
SWEEP_OVERDUE: Final = timedelta(minutes=5)
#: A due event that waits longer than this waits for a worker.
BACKLOG_OVERDUE: Final = timedelta(minutes=5)


def beat(name: str = SWEEP) -> None:
    """``name`` ran just now, on this machine."""
    Heartbeat.objects.update_or_create(
        name=name, defaults={"beat_at": timezone.now(), "host": socket.gethostname()[:255]}
    )


def beat_within(seconds: float, name: str = SWEEP) -> bool:
    """Whether ``name`` has run in the last ``seconds``."""
    now = timezone.now()
    return Heartbeat.objects.filter(
        name=name, beat_at__gt=now - timedelta(seconds=seconds), beat_at__lte=now
    ).exists()


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Whether work gets done, as one query tells it. Ages in seconds; None where there is nothing to be old."""

    #: Since the last sweep; None: there has never been one.
    sweep_age: float | None
    #: Since the oldest event that is due came in, or was to be tried again.
    backlog_age: float | None

    @property
    def swept_lately(self) -> bool:
        """Whether sweeps happen."""
        return self.sweep_age is not None and self.sweep_age <= SWEEP_OVERDUE.total_seconds()

    @property
    def healthy(self) -> bool:
        """Whether sweeps happen, and no event waits for one."""
        waits = self.backlog_age is not None and self.backlog_age > BACKLOG_OVERDUE.total_seconds()
        return self.swept_lately and not waits


def pulse() -> Pulse:
    """One query. An event that waits for its next attempt is not late before that attempt is."""
    now = timezone.now()
    since = Coalesce("next_attempt_at", "received_at")
    oldest = WebhookEvent.objects.due(now).order_by(since).values_list(since)[:1]
    row = Heartbeat.objects.filter(name=SWEEP).values_list("beat_at", Subquery(oldest)).first()
    if row is None:
        return Pulse(sweep_age=None, backlog_age=None)
    return Pulse(sweep_age=_age(row[0], now), backlog_age=None if row[1] is None else _age(row[1], now))


def _age(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
