"""When each install is reconciled: in a turn of its own, one or three hours after the last one.

An event says within seconds what a reconciliation would find. So an install whose events demonstrably arrive has its
turn every three hours, and every hour while anything puts that in doubt. What does is looked for at each planning,
and not only by a reconciliation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import BooleanField, Exists, Expression, ExpressionWrapper, OuterRef, Q, Value
from django.utils import timezone

from django_opentrain.conf import conf
from django_opentrain.conflicts import statements_retried
from django_opentrain.models import Install, WebhookEndpoint, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.services.workers import heartbeat

#: From one turn of an install to the next.
IN_DOUBT: Final = timedelta(hours=1)
TRUSTED: Final = timedelta(hours=3)
#: For how long every reconciliation has to have found nothing, before an install is trusted.
PROBATION: Final = timedelta(days=1)
#: An event that has waited for longer puts it in doubt that events are processed.
UNPROCESSED_LATE: Final = timedelta(minutes=10)

HOUR: Final = timedelta(hours=1)
#: An install has its turns at one of so many minutes of the hour.
MINUTES: Final = 60
#: Prime to it: keys that follow each other have turns that lie far apart.
_STRIDE: Final = 37
#: How much too early a turn may be: otherwise one that came late would be followed by one an hour late.
_TOLERANCE: Final = timedelta(minutes=30)
#: Keys named by one statement.
_BATCH: Final = 500


@statements_retried()
def plan() -> int:
    """Give each install that is due within the next hour its turn in it; returns how many have got one."""
    now, turns = timezone.now(), defaultdict(list)
    for pk, reconciled_at, interval in _waiting(now):
        turn = _next_turn(pk, now)
        if reconciled_at is None or reconciled_at <= turn - interval + _TOLERANCE:
            turns[turn].append(pk)
    return sum(_give(turn, keys) for turn, keys in turns.items())


@statements_retried()
def request_due() -> int:
    """Make each install due whose interval is over; returns how many. For work that begins as seldom as it likes."""
    now = timezone.now()
    due = [pk for pk, at, interval in _waiting(now) if at is None or at <= now - interval]
    return _give(now, due)


def distrust(install: Install) -> None:
    """Its events may not have arrived."""
    Install.objects.filter(pk=install.pk).update(in_sync_since=None)


def distrust_all() -> None:
    """Until it is reconciled again, no install is trusted: what kept one's events away keeps others' away, too."""
    heartbeat.record(heartbeat.DELIVERIES_MISSED, timezone.now())


def distrust_after_silence(age: timedelta | None) -> None:
    """``age`` says how long ago a sweep ran last, None that none did: after a long silence no install is trusted."""
    if age is not None and age > heartbeat.SWEEP_OVERDUE:
        distrust_all()


def has_received(install: Install) -> bool:
    """Whether a delivery has come through an endpoint that works."""
    return WebhookEvent.objects.filter(
        endpoint__install=install, endpoint__status=WebhookEndpoint.Status.ACTIVE
    ).exists()


def _waiting(now: datetime) -> Iterator[tuple[int, datetime | None, timedelta]]:
    """The live installs that have no turn: their keys, when they were reconciled, and how often they should be."""
    rows = Install.objects.live().filter(next_reconcile_at=None)
    for pk, reconciled_at, is_trusted in rows.values_list("pk", "reconciled_at", _is_trusted(now)):
        yield pk, reconciled_at, TRUSTED if is_trusted else IN_DOUBT


def _is_trusted(now: datetime) -> Expression:
    """Whether an install's events demonstrably arrive, and nothing is left open."""
    if not set(catalog.EVENT_TYPES) <= set(conf.event_types):
        return Value(value=False)
    endpoints = WebhookEndpoint.objects.filter(install=OuterRef("pk"))
    working = Exists(endpoints.filter(WebhookEndpoint.WORKING))
    others = Exists(endpoints.live().exclude(WebhookEndpoint.WORKING))
    trusted = Q(
        working, ~others, status=Install.Status.ACTIVE, last_error="", reconcile_attempts=0, removals_held=0
    )
    trusted &= Q(in_sync_since__lte=now - PROBATION) & ~_unprocessed(now)
    missed = heartbeat.last(heartbeat.DELIVERIES_MISSED)
    trusted &= Q() if missed is None else Q(reconciled_at__gt=missed)
    return ExpressionWrapper(trusted, output_field=BooleanField())


def _unprocessed(now: datetime) -> Q:
    """Installs with events that wait for long, or have failed lately."""
    late = Q(status=WebhookEvent.Status.PENDING, received_at__lte=now - UNPROCESSED_LATE)
    failed = Q(status=WebhookEvent.Status.FAILED, received_at__gte=now - PROBATION)
    return Q(pk__in=WebhookEvent.objects.filter(late | failed).values("endpoint__install"))


def _next_turn(pk: int, now: datetime) -> datetime:
    turn = now.replace(minute=pk * _STRIDE % MINUTES, second=0, microsecond=0)
    return turn if turn >= now else turn + HOUR


def _give(turn: datetime, keys: Sequence[int]) -> int:
    # Not to those that something else has made due since.
    waiting = Install.objects.filter(next_reconcile_at=None)
    batches = (keys[begin : begin + _BATCH] for begin in range(0, len(keys), _BATCH))
    return sum(waiting.filter(pk__in=batch).update(next_reconcile_at=turn) for batch in batches)
