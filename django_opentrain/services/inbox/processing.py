"""Processing stored events, and retrying until each has been applied.

The receiver only stores them. Everything else happens later, from the rows.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from typing import Final

from django.utils import timezone

from django_opentrain.conflicts import is_conflict, retried
from django_opentrain.explanations import NO_REASON, Reason
from django_opentrain.models import WebhookEvent
from django_opentrain.models.webhooks import WebhookEventQuerySet
from django_opentrain.services.inbox import batches
from django_opentrain.services.inbox.batches import Batch
from django_opentrain.services.workers import wakeup
from django_opentrain.services.workers.locks import lock
from django_opentrain.services.workers.retries import backoff
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import atomic

logger = logging.getLogger(__name__)

#: Attempts after which an event is FAILED and waits for a person (about ten hours).
MAX_ATTEMPTS: Final = 20
#: Events of one customer that are processed, in one transaction, before the next customer's turn.
BATCH_PER_CUSTOMER: Final = 100
#: Seconds after which it is asked anew which customers have events, and how many times as long as asking takes: a
#: quarter of a second with 400,000 events due.
LISTED_SECONDS: Final = 1.0
KEPT_TIMES: Final = 4
#: Seconds after which an install is tried once more that was locked: all but workers have it for a moment only.
LOCKED_PAUSE: Final = 0.05
#: The outcome that is counted for an attempt after which another one follows.
RETRIED: Final = "RETRIED"


def process(event: WebhookEvent) -> WebhookEvent:
    """Apply one event, if it hasn't been yet, and return the refreshed event.

    The events of one install are applied one after the other. A failure is not raised, but stored with the event,
    which is retried later; its effect is all or nothing.
    """
    pending = WebhookEvent.objects.filter(pk=event.pk, status=WebhookEvent.Status.PENDING)
    _process(event.endpoint.install_id, pending, wait=True)
    event.refresh_from_db()
    return event


def _process(install_id: int, rows: WebhookEventQuerySet, *, wait: bool = False) -> int | None:
    """Make one attempt at each of the first of these events of an install, in one transaction.

    Returns at how many, and None if another worker has the install. If it fails, each half is tried, until the event
    is found that can't be applied.
    """
    batch = Batch(install_id, rows, limit=BATCH_PER_CUSTOMER, wait=wait)
    try:
        return batch.apply()
    except Exception as error:  # no event may be lost, whatever its body does to our code
        if not batch.events:
            raise
        if is_conflict(error):
            _log_conflict(batch.events)
            return 0
        ends = isinstance(error, soft_time_limit())
        if ends or len(batch.events) == 1:
            _failed(batch.in_hand or batch.events[0], error)
        if ends:
            raise
    keys = [event.pk for event in batch.events]
    if len(keys) == 1:
        return 1
    middle = len(keys) // 2
    tried = _process(install_id, rows.filter(pk__in=keys[:middle]), wait=wait) or 0
    if tried < middle:
        return tried  # another worker has them by now: later ones must not overtake them
    return tried + (_process(install_id, rows.filter(pk__in=keys[middle:]), wait=wait) or 0)


def _log_conflict(events: list[WebhookEvent]) -> None:
    for event in events:
        logger.warning(
            "Webhook event %s stays due: other transactions were always faster.",
            event.pk,
            extra={"event_type": event.type, **event.endpoint.install.log_fields},
        )


@retried
def _failed(event: WebhookEvent, error: Exception) -> None:
    with atomic():
        # If several workers failed at the same time, only the first counts the attempt.
        row = lock(WebhookEvent.objects.filter(pk=event.pk, attempts=event.attempts))
        if row is None or row.status != WebhookEvent.Status.PENDING:
            return
        row.attempts += 1
        Reason.of(error).put(row, "error")
        row.next_attempt_at = timezone.now() + backoff(row.attempts)
        if row.attempts >= MAX_ATTEMPTS:
            row.status = WebhookEvent.Status.FAILED
        row.save(update_fields=["status", "error", "error_code", "attempts", "next_attempt_at"])
        batches.count(row.type, row.status if row.status == WebhookEvent.Status.FAILED else RETRIED)
    logger.error(
        "Webhook event %s (%s) failed, attempt %d: %s [%s]",
        row.pk,
        row.type,
        row.attempts,
        row.error,
        "events-failed" if row.status == WebhookEvent.Status.FAILED else "events-failing",
        extra={"event_type": row.type, **event.endpoint.install.log_fields},
    )


def drain() -> int:
    """Process every event that is due; returns how many were tried."""
    total = 0
    while tried := sum(each_due()):
        total += tried
    return total


def each_due() -> Iterator[int]:
    """Process some of the events that are due now, the customers in turn.

    Yields after each turn how many were tried. A customer whom another worker serves is left to that one, who looks
    again before it ends.
    """
    waiting = _Waiting()
    until = time.monotonic() + max(LISTED_SECONDS, waiting.seconds_kept)
    turns = list(waiting.endpoints)
    skipped = []
    while turns and time.monotonic() < until:
        more = []
        for install_id, tried in _turns(turns, waiting):
            if tried is None:
                skipped.append(install_id)
            elif tried >= BATCH_PER_CUSTOMER:
                more.append(install_id)
            yield tried or 0
        turns = more
    if skipped:
        time.sleep(LOCKED_PAUSE)
    for _install_id, tried in _turns(skipped, waiting):
        yield tried or 0


class _Waiting:
    """Which customers have events that are due, in any order: several workers shouldn't go the same way."""

    def __init__(self) -> None:
        began = time.monotonic()
        due = WebhookEvent.objects.due(timezone.now()).order_by()
        found = list(due.values_list("endpoint__install", "endpoint").distinct())
        random.shuffle(found)
        #: By install. Its events are asked for by these: joined with it, the database reads what is due of all.
        self.endpoints: dict[int, list[int]] = {}
        for install_id, endpoint_id in found:
            self.endpoints.setdefault(install_id, []).append(endpoint_id)
        self._asked_at = time.monotonic()
        #: Not asked anew for so long: the time is for the events, however many there are.
        self.seconds_kept = KEPT_TIMES * (self._asked_at - began)

    @property
    def is_kept(self) -> bool:
        return time.monotonic() < self._asked_at + self.seconds_kept


def _turns(installs: list[int], waiting: _Waiting) -> Iterator[tuple[int, int | None]]:
    """A turn of each, and how many events were tried; None if another worker has the install."""
    newest = waiting
    for install_id in installs:
        if install_id not in newest.endpoints:
            continue
        rows = WebhookEvent.objects.due(timezone.now()).filter(endpoint__in=waiting.endpoints[install_id])
        tried = _process(install_id, rows)
        if tried == 0 and not newest.is_kept:
            # Another worker was faster, and so it was with other customers.
            newest = _Waiting()
        yield install_id, tried


def replay(events: WebhookEventQuerySet) -> int:
    """Make these events due again, whatever their status; returns how many. Purged bodies can't be replayed.

    Raises no error of its own.
    """
    again = events.filter(body__isnull=False)
    count = again.update(
        status=WebhookEvent.Status.PENDING, attempts=0, next_attempt_at=None, **NO_REASON.columns("error")
    )
    wakeup.wake_workers_on_commit()
    return count
