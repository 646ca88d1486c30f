"""Applying several events of one install in one transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import models, signals
from django_opentrain.conflicts import retried
from django_opentrain.explanations import Reason
from django_opentrain.models import Install, WebhookEvent
from django_opentrain.models.webhooks import WebhookEventQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.services.access.unit_of_work import UnitOfWork
from django_opentrain.services.inbox import handlers
from django_opentrain.services.workers.locks import locked
from django_opentrain.transactions import on_commit

#: What is counted for event types that aren't documented.
OTHER_TYPE: Final = "other"


class Batch:
    """Events that came through one install's endpoints, in the order in which they arrived."""

    def __init__(self, origin_id: int, rows: WebhookEventQuerySet, *, limit: int, wait: bool) -> None:
        """The first ``limit`` of these rows. ``wait`` for the install, if another worker has it."""
        self._origin_id = origin_id
        self._rows = rows
        self._limit = limit
        self._wait = wait
        #: Empty until they were read, with the install's row locked.
        self.events: list[WebhookEvent] = []
        #: The one that is being applied.
        self.in_hand: WebhookEvent | None = None

    @retried
    def apply(self) -> int | None:
        """Apply all of them, or none; returns how many, None if another worker has the install."""
        with locked(self._origin_id, wait=self._wait) as origin:
            if origin is None:
                return None
            if origin.superseded_by_id is None:
                return self._apply(origin, origin)
        return self._apply_late()

    @retried
    def _apply_late(self) -> int | None:
        """Another install has taken over: what came through the old one concerns that."""
        origin = Install.objects.filter(pk=self._origin_id).first()
        if origin is None:
            return None
        with locked(handlers.subject(origin).pk, wait=self._wait) as install:
            if install is None:
                return None
            if install.superseded_by_id is None:
                return self._apply(origin, install)
        # A reconnect was faster than this lock.
        return self._apply_late()

    @without_locals
    def _apply(self, origin: Install, install: Install) -> int:
        # Read under the lock: another worker may have been faster.
        rows = self._rows.filter(endpoint__install=origin).select_related("endpoint").order_by("pk")
        self.events = list(rows[: self._limit])
        if not self.events:
            return 0
        parsed = [None if event.body is None else Event.from_body(event.body) for event in self.events]
        unit = UnitOfWork(install)
        for each in filter(None, parsed):
            handlers.expect(unit, each)
        processed = _processed_before(self.events, origin)
        for row, event in zip(self.events, parsed, strict=True):
            self.in_hand = row
            row.endpoint.install = origin
            ignored = _reason_to_ignore(row, event, processed)
            if event is not None and not ignored:
                ignored = handlers.apply(origin, unit, event)
            if not ignored:
                processed.add((row.event_id, row.type))
            _note_outcome(row, ignored)
        self.in_hand = None
        unit.write()
        _write_outcomes(self.events)
        return len(self.events)


def _processed_before(rows: Sequence[WebhookEvent], origin: Install) -> set[tuple[str, str]]:
    """An event takes effect once per install, however many endpoints and deliveries it comes through."""
    same = WebhookEvent.objects.filter(event_id__in={row.event_id for row in rows} - {""})
    columns = same.values_list("event_id", "type", "endpoint__install", "status")
    # Not a condition of the query: a database whose statistics are older than a flood would begin with the status.
    wanted = (origin.pk, WebhookEvent.Status.PROCESSED)
    return {(event_id, event_type) for event_id, event_type, *rest in columns if tuple(rest) == wanted}


def _reason_to_ignore(row: WebhookEvent, event: Event | None, processed: set[tuple[str, str]]) -> str:
    if event is None:
        return _("The body was deleted, or is not a JSON object.")
    if row.endpoint.compromised_at is not None:
        return _("The secret with which it was signed is compromised.")
    if row.event_id and (row.event_id, row.type) in processed:
        return _("This event was already processed.")
    return ""


def _note_outcome(row: WebhookEvent, ignored: str) -> None:
    row.status = WebhookEvent.Status.IGNORED if ignored else WebhookEvent.Status.PROCESSED
    Reason.note(ignored).put(row, "error")
    row.next_attempt_at = None
    row.processed_at = timezone.now()
    # In memory only then: a failure is counted by what was read.
    on_commit(partial(setattr, row, "attempts", row.attempts + 1))
    signals.send_on_commit(signals.event_received, WebhookEvent, event=row)


def _write_outcomes(rows: Sequence[WebhookEvent]) -> None:
    by_outcome = defaultdict(list)
    for row in rows:
        by_outcome[row.status, row.error, row.error_code].append(row)
    for (status, error, code), same in by_outcome.items():
        WebhookEvent.objects.filter(pk__in=[row.pk for row in same]).update(
            status=status,
            error=error,
            error_code=code,
            attempts=F("attempts") + 1,
            next_attempt_at=None,
            processed_at=same[-1].processed_at,
        )
    for (event_type, status), number in Counter((row.type, row.status) for row in rows).items():
        count(event_type, status, number)


def count(event_type: str, outcome: str, number: int = 1) -> None:
    """Count this many for the metrics."""
    # OpenTrain may send types that it documents later: whatever they are, there are few counters.
    label = event_type if event_type in catalog.EVENT_TYPES else OTHER_TYPE
    models.Counter.objects.count_up(models.Counter.Metric.EVENTS, label, outcome, by=number)
