"""Whether work is done here: what the health URL and a load balancer's checks report. One query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Exists, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from django_opentrain.models import Heartbeat, WebhookEvent
from django_opentrain.services.conditions import EVENTS
from django_opentrain.services.workers.heartbeat import CLOCK_TOLERANCE, SWEEP, SWEEP_OVERDUE

#: The conditions of the schedule, which no row is in.
BEAT_SILENT: Final = "beat-silent"
CLOCK_SET_BACK: Final = "clock-set-back"


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Ages in seconds."""

    #: Since the last sweep; None: there has never been one.
    sweep_age: float | None
    #: Since the oldest due event was received, or its retry was due; None: no event is due.
    backlog_age: float | None = None
    #: The names of what is wrong with sweeps and events.
    conditions: tuple[str, ...]

    @property
    def swept_lately(self) -> bool:
        """Whether sweeps happen."""
        return not {BEAT_SILENT, CLOCK_SET_BACK}.intersection(self.conditions)

    @property
    def healthy(self) -> bool:
        """Whether sweeps happen, and no event waits for one or fails."""
        return not self.conditions


def pulse() -> Pulse:
    """One query. An event that waits for its next attempt is not late before that attempt is due."""
    now = timezone.now()
    since = Coalesce("next_attempt_at", "received_at")
    oldest = WebhookEvent.objects.due(now).order_by(since).values_list(since)[:1]
    needing = [Exists(each.find(now)) for each in EVENTS]
    beats = Heartbeat.objects.filter(name=SWEEP).values_list("beat_at", Subquery(oldest), *needing)
    row = beats.first()
    if row is None:
        return Pulse(sweep_age=None, conditions=schedule_conditions(None))
    beat_at, due_since, *found = row
    sweep_age = (now - beat_at).total_seconds()
    names = [each.name for each, exists in zip(EVENTS, found, strict=True) if exists]
    return Pulse(
        sweep_age=sweep_age,
        backlog_age=(now - due_since).total_seconds() if due_since else None,
        conditions=(*schedule_conditions(beat_at), *names),
    )


def schedule_conditions(beat_at: datetime | None) -> tuple[str, ...]:
    """The names of what is wrong with the schedule whose last sweep was then; None: there has never been one."""
    age = None if beat_at is None else timezone.now() - beat_at
    if age is None or age > SWEEP_OVERDUE:
        return (BEAT_SILENT,)
    return (CLOCK_SET_BACK,) if age < -CLOCK_TOLERANCE else ()
