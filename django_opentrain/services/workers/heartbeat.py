"""Heartbeats: scheduled work records that it ran, so that monitors notice when it stops."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from django_opentrain.conflicts import retried
from django_opentrain.models import Heartbeat

#: Beat's sweep, which needs both beat and a worker; or a round of ``opentrain_work``, without Celery.
SWEEP: Final = "sweep"
#: The purge, which has ended.
PURGE: Final = "purge"
#: The adapter was asked which contracts' usage has changed.
USAGE_CHANGES: Final = "usage changes"
#: Deliveries may have been missed: an endpoint was disabled, or nothing ran here.
DELIVERIES_MISSED: Final = "deliveries missed"
#: The longest normal pause: cron runs once a minute, and a round may take a while.
SWEEP_OVERDUE: Final = timedelta(minutes=5)
#: What lies further ahead was written before the clock was set back. Two machines' clocks may differ a little.
CLOCK_TOLERANCE: Final = timedelta(minutes=1)


@retried
def beat(name: str = SWEEP) -> None:
    """Record that ``name`` ran just now, on this machine.

    Not over a heartbeat that lies ahead: it is what shows the next sweep that the clock was set back.
    """
    now, host = timezone.now(), socket.gethostname()[:255]
    rows = Heartbeat.objects.filter(name=name, beat_at__lte=now + CLOCK_TOLERANCE)
    if not rows.update(beat_at=now, host=host) and not lies_ahead(name):
        Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": now, "host": host})


def record(name: str, at: datetime) -> None:
    """Record that ``name`` began at this time, and has ended."""
    host = socket.gethostname()[:255]
    if not Heartbeat.objects.filter(name=name).update(beat_at=at, host=host):
        Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": at, "host": host})


def last(name: str) -> datetime | None:
    """When ``name`` last ran; None if it never did."""
    return Heartbeat.objects.filter(name=name).values_list("beat_at", flat=True).first()


def age(name: str = SWEEP) -> timedelta | None:
    """How long ago ``name`` last ran; None if it never did."""
    at = last(name)
    return None if at is None else timezone.now() - at


def beat_within(seconds: float, name: str = SWEEP) -> bool:
    """Whether ``name`` has run in the last ``seconds``."""
    now = timezone.now()
    return Heartbeat.objects.filter(
        name=name, beat_at__gt=now - timedelta(seconds=seconds), beat_at__lte=now
    ).exists()


def lies_ahead(name: str = SWEEP) -> bool:
    """Whether the clock was set back since ``name`` ran."""
    return Heartbeat.objects.filter(name=name, beat_at__gt=timezone.now() + CLOCK_TOLERANCE).exists()
