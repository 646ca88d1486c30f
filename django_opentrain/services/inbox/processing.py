"""Processing stored events, and retrying until each has been applied.

The receiver only stores them. Everything else happens later, from the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.conflicts import is_conflict, retried
from django_opentrain.explanations import NO_REASON, Reason
from django_opentrain.models import Counter, Install, WebhookEvent
from django_opentrain.models.webhooks import WebhookEventQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.services.inbox import handlers
from django_opentrain.services.workers import wakeup
from django_opentrain.services.workers.locks import lock, locked
from django_opentrain.services.workers.retries import backoff
from django_opentrain.transactions import atomic

logger = logging.getLogger(__name__)

#: Attempts after which an event is FAILED and waits for a person (about ten hours).
MAX_ATTEMPTS: Final = 20
#: Events of one customer that are processed before the next customer's turn.
BATCH_PER_CUSTOMER: Final = 20
#: The outcome that is counted for an attempt after which another one follows.
RETRIED: Final = "RETRIED"
#: What is counted for event types that aren't documented.
OTHER_TYPE: Final = "other"


def process(event: WebhookEvent) -> WebhookEvent:
    """Apply one event, if it hasn't been yet, and return the refreshed event.

    The events of one install are applied one after the other. A failure is not raised, but stored with the event,
    which is retried later; its effect is all or nothing.
    """
    _process(event, WebhookEvent.objects.all())
    event.refresh_from_db()
    return event


def _process(event: WebhookEvent, rows: WebhookEventQuerySet) -> bool:
    """Make one attempt, if the event is pending and among ``rows``; returns whether it was made."""
    try:
        return _attempt(event, rows)
    except Exception as error:  # no event may be lost, whatever its body does to our code
        if is_conflict(error):
            logger.warning(
                "Webhook event %s stays due: other transactions were always faster.",
                event.pk,
                extra={"event_type": event.type, **event.endpoint.install.log_fields},
            )
            return False
        _failed(event, error)
        if isinstance(error, SoftTimeLimitExceeded):
            raise
    return True


@retried
def _attempt(event: WebhookEvent, rows: WebhookEventQuerySet) -> bool:
    pk = handlers.subject(event.endpoint.install).pk
    with locked(pk) as install:
        if install is not None and install.superseded_by_id is None:
            return _apply(event.pk, install, rows)
    # A reconnect was faster than this lock.
    return _attempt(WebhookEvent.objects.select_related("endpoint__install").get(pk=event.pk), rows)


@without_locals
def _apply(pk: int, install: Install, rows: WebhookEventQuerySet) -> bool:
    # The event was selected before the lock: another worker may have been faster.
    row = rows.filter(pk=pk, status=WebhookEvent.Status.PENDING).select_related("endpoint__install").first()
    if row is None:
        return False
    event = None if row.body is None else Event.from_body(row.body)
    if event is None:
        ignored = _("The body was deleted, or is not a JSON object.")
    elif row.endpoint.compromised_at is not None:
        ignored = _("The secret with which it was signed is compromised.")
    elif _was_processed(row):
        ignored = _("This event was already processed.")
    else:
        ignored = handlers.apply(row.endpoint.install, install, event)
    row.status = WebhookEvent.Status.IGNORED if ignored else WebhookEvent.Status.PROCESSED
    Reason.note(ignored).put(row, "error")
    row.attempts += 1
    row.next_attempt_at = None
    row.processed_at = timezone.now()
    row.save(update_fields=["status", "error", "error_code", "attempts", "next_attempt_at", "processed_at"])
    signals.send_on_commit(signals.event_received, WebhookEvent, event=row)
    _count(row, row.status)
    return True


def _was_processed(row: WebhookEvent) -> bool:
    """An event takes effect once per install, however many endpoints and deliveries it comes through."""
    if not row.event_id:
        return False
    others = WebhookEvent.objects.filter(
        event_id=row.event_id,
        endpoint__install=row.endpoint.install,
        type=row.type,
        status=WebhookEvent.Status.PROCESSED,
    )
    return others.exclude(pk=row.pk).exists()


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
        _count(row, row.status if row.status == WebhookEvent.Status.FAILED else RETRIED)
    logger.error(
        "Webhook event %s (%s) failed, attempt %d: %s [%s]",
        row.pk,
        row.type,
        row.attempts,
        row.error,
        "events-failed" if row.status == WebhookEvent.Status.FAILED else "events-failing",
        extra={"event_type": row.type, **event.endpoint.install.log_fields},
    )


def _count(row: WebhookEvent, outcome: str) -> None:
    # OpenTrain may send types that it documents later: whatever they are, there are few counters.
    label = row.type if row.type in catalog.EVENT_TYPES else OTHER_TYPE
    Counter.objects.count_one(Counter.Metric.EVENTS, label, outcome)


def drain() -> int:
    """Process every event that is due; returns how many were tried."""
    total = 0
    while tried := sum(each_due()):
        total += tried
    return total


def each_due() -> Iterator[bool]:
    """Process some of the events that are due now of each customer, in turn.

    Yields after each whether it was tried: another worker may have been faster.
    """
    due = WebhookEvent.objects.due(timezone.now())
    for install_id in list(due.order_by().values_list("endpoint__install", flat=True).distinct()):
        rows = due.filter(endpoint__install=install_id).select_related("endpoint__install")
        for row in rows.order_by("pk")[:BATCH_PER_CUSTOMER]:
            yield _process(row, WebhookEvent.objects.due(timezone.now()))


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
