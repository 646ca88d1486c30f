"""Heartbeats: scheduled work records that it ran, so that monitors notice when it stops."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from django_opentrain.models import Heartbeat, WebhookEvent

#: Beat's sweep, which needs both beat and a worker; or a round of ``opentrain_work``, without Celery.
SWEEP: Final = "sweep"
#: The longest normal pause: cron runs once a minute, and a round may take a while.
SWEEP_OVERDUE: Final = timedelta(minutes=5)
#: If a due event waits longer than this, no worker processes events.
BACKLOG_OVERDUE: Final = timedelta(minutes=5)
#: What lies further ahead was written before the clock was set back. Two machines' clocks may differ a little.
CLOCK_TOLERANCE: Final = timedelta(minutes=1)


def beat(name: str = SWEEP) -> None:
    """Record that ``name`` ran just now, on this machine.

    Not over a heartbeat that lies ahead: it is what shows the next sweep that the clock was set back.
    """
    if lies_ahead(name):
        return
    Heartbeat.objects.update_or_create(
        name=name, defaults={"beat_at": timezone.now(), "host": socket.gethostname()[:255]}
    )


def beat_within(seconds: float, name: str = SWEEP) -> bool:
    """Whether ``name`` has run in the last ``seconds``."""
    now = timezone.now()
    return Heartbeat.objects.filter(
        name=name, beat_at__gt=now - timedelta(seconds=seconds), beat_at__lte=now
    ).exists()


def lies_ahead(name: str = SWEEP) -> bool:
    """Whether the clock was set back since ``name`` ran."""
    return Heartbeat.objects.filter(name=name, beat_at__gt=timezone.now() + CLOCK_TOLERANCE).exists()


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Whether work is done, from one query. Ages in seconds."""

    #: Since the last sweep; None: there has never been one.
    sweep_age: float | None
    #: Since the oldest due event was received, or its retry was due; None: no event is due.
    backlog_age: float | None
    #: Whether an event fails each time, or has failed in every attempt.
    events_failing: bool = False

    @property
    def swept_lately(self) -> bool:
        """Whether sweeps happen."""
        swept = self.sweep_age is not None and self.sweep_age <= SWEEP_OVERDUE.total_seconds()
        return swept and not self.clock_was_set_back

    @property
    def clock_was_set_back(self) -> bool:
        """Whether the last sweep lies ahead: what waits does so for too long, until the next one."""
        return self.sweep_age is not None and self.sweep_age < -CLOCK_TOLERANCE.total_seconds()

    @property
    def healthy(self) -> bool:
        """Whether sweeps happen, and no event waits for one or fails."""
        waits = self.backlog_age is not None and self.backlog_age > BACKLOG_OVERDUE.total_seconds()
        return self.swept_lately and not waits and not self.events_failing


def pulse() -> Pulse:
    """One query. An event that waits for its next attempt is not late before that attempt is due."""
    now = timezone.now()
    since = Coalesce("next_attempt_at", "received_at")
    oldest = WebhookEvent.objects.due(now).order_by(since).values_list(since)[:1]
    failing = WebhookEvent.objects.filter(WebhookEvent.NEEDS_ATTENTION)
    beats = Heartbeat.objects.filter(name=SWEEP)
    row = beats.values_list("beat_at", Subquery(oldest), Exists(failing)).first()
    if row is None:
        return Pulse(sweep_age=None, backlog_age=None)
    beat_at, due_since, events_failing = row
    return Pulse(
        sweep_age=_age(beat_at, now),
        backlog_age=None if due_since is None else _age(due_since, now),
        events_failing=events_failing,
    )


def _age(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
