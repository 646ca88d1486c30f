"""What has arrived at webhook endpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, OuterRef, Q, Subquery
from django.utils import timezone

from django_opentrain.models import WebhookEndpoint, WebhookEvent

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
    """By the endpoints' keys. Two statements, by the index on their events' times."""
    events = WebhookEvent.objects.filter(endpoint=OuterRef("pk")).order_by("-received_at")
    rows = WebhookEndpoint.objects.filter(pk__in=endpoints)
    last = dict(rows.annotate(last=Subquery(events.values("received_at")[:1])).values_list("pk", "last"))
    recent = WebhookEvent.objects.filter(
        endpoint__in=endpoints, received_at__gte=timezone.now() - timedelta(days=DAYS)
    )
    failed = Count("pk", filter=Q(status=WebhookEvent.Status.FAILED))
    counts = recent.order_by().values_list("endpoint").annotate(received=Count("pk"), failed=failed)
    counted = {key: (received, bad) for key, received, bad in counts}
    return {
        key: Traffic(last_at=moment, received=counted.get(key, (0, 0))[0], failed=counted.get(key, (0, 0))[1])
        for key, moment in last.items()
    }
