"""Events that are stored and not processed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from django_opentrain.models import WebhookEvent
from django_opentrain.services.conditions.condition import Condition, Severity

#: A due event that waits longer than this waits for a worker.
BACKLOG_OVERDUE: Final = timedelta(minutes=5)


def _waiting_events(now: datetime) -> QuerySet[WebhookEvent]:
    before = now - BACKLOG_OVERDUE
    fresh = Q(next_attempt_at=None, received_at__lte=before)
    return WebhookEvent.objects.due(now).filter(fresh | Q(next_attempt_at__lte=before))


EVENTS: Final = (
    Condition(
        name="events-waiting",
        severity=Severity.ERROR,
        model=WebhookEvent,
        find=_waiting_events,
        title=_("Events that are overdue"),
        advice=_("Make sure that a worker and beat run. To process them now: manage.py opentrain_work"),
    ),
    Condition(
        name="events-failing",
        severity=Severity.ERROR,
        model=WebhookEvent,
        find=lambda _now: WebhookEvent.objects.filter(WebhookEvent.FAILING),
        title=_("Events that keep failing"),
        advice=_(
            "Fix what their errors say. They are retried automatically, or at once: opentrain_replay --now --event ID"
        ),
    ),
    Condition(
        name="events-failed",
        severity=Severity.ERROR,
        model=WebhookEvent,
        # Without its body, which was erased, none can be replayed.
        find=lambda _now: WebhookEvent.objects.filter(status=WebhookEvent.Status.FAILED, body__isnull=False),
        title=_("Events that failed in every attempt"),
        advice=_("Fix what their errors say, then run: manage.py opentrain_replay"),
    ),
)
