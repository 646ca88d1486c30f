"""Deleting the rows of old events, month by month, for sites that want to keep no more of them.

The table isn't partitioned by month: docs/explanation/architecture.md says why. Each batch is a transaction of its
own, found by the index of ``received_at``; a run that was stopped goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from django_opentrain.conflicts import retried
from django_opentrain.models import WebhookEvent
from django_opentrain.services.purge.batches import in_batches
from django_opentrain.transactions import atomic

#: Rows that are younger are kept: OpenTrain repeats a delivery for hours, and people have it repeated later.
KEPT: Final = timedelta(days=90)


def delete_events(before: datetime) -> Iterator[tuple[str, int]]:
    """Delete the settled events that were received before then and whose bodies are gone.

    Yields each month (``2026-01``, in UTC) and how many. A delivery of a deleted event that OpenTrain repeats is a
    new one: it takes effect in its place among the events, so that it changes nothing which has changed since.
    """
    old = WebhookEvent.objects.filter(WebhookEvent.PURGED, received_at__lt=before)
    while (first := old.order_by("received_at").values_list("received_at", flat=True).first()) is not None:
        until = min(_next_month(first), before)
        yield f"{first:%Y-%m}", in_batches(old.filter(received_at__lt=until), _delete, by="received_at")
        old = old.filter(received_at__gte=until)


@retried
def _delete(rows: QuerySet[WebhookEvent]) -> int:
    with atomic():
        # One statement, with the condition: what was replayed since is left out.
        deleted: int = rows.delete()[0]
    return deleted


def _next_month(moment: datetime) -> datetime:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
