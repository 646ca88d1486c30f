"""What has arrived at webhook endpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone

from django_opentrain.models import WebhookEndpoint, WebhookEvent
from django_opentrain.models.webhooks import WebhookEventQuerySet

#: How far back events are counted.
DAYS: Final = 7


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """An endpoint's events."""

    #: When the last one was received, however long ago.
    last_at: datetime | None
    #: Of the last ``DAYS`` days.
    received: int = 0
    failed: int = 0


def traffic(endpoints: Collection[int]) -> Mapping[int, Traffic]:
    """By the endpoints' keys. Three statements, each by an index alone."""
    events = WebhookEvent.objects.filter(endpoint=OuterRef("pk")).order_by("-received_at")
    rows = WebhookEndpoint.objects.filter(pk__in=endpoints)
    last = dict(rows.annotate(last=Subquery(events.values("received_at")[:1])).values_list("pk", "last"))
    recent = WebhookEvent.objects.filter(
        endpoint__in=endpoints, received_at__gte=timezone.now() - timedelta(days=DAYS)
    )
    received, failed = _counts(recent), _counts(recent.filter(status=WebhookEvent.Status.FAILED))
    return {
        key: Traffic(last_at=moment, received=received.get(key, 0), failed=failed.get(key, 0))
        for key, moment in last.items()
    }


def _counts(events: WebhookEventQuerySet) -> dict[int, int]:
    # Of rows, not of keys: those are in no index that says when, and are read row by row.
    return dict(events.order_by().values_list("endpoint").annotate(count=Count("*")))
