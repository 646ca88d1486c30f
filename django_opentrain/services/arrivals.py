"""Storing an arrival: the one statement of the receiver's request.

Not ``save()`` or ``bulk_create()``: a model instance, its fields' preparation, a transaction and signals would cost
more than the INSERT itself (measured by ``benchmarks/receiver.py``). Not ``INSERT IGNORE``: MySQL's would hide every
other error, and the event with it.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Final

from django.db import IntegrityError, connections, router, transaction

from django_opentrain import crypto
from django_opentrain.models import WebhookEvent
from django_opentrain.platform.payloads import Event

COLUMNS: Final = (
    "endpoint_id",
    "digest",
    "delivery_id",
    "event_id",
    "type",
    "resource_id",
    "job_id",
    "body",
    "status",
    "error",
    "received_at",
)


def store(
    endpoint_id: int,
    *,
    digest: str,
    delivery_id: str,
    event: Event | None,
    body: bytes,
    ignored: str,
    now: datetime,
) -> bool:
    """Store a verified delivery; False when its digest is stored already.

    Raises ``django.db.Error`` when it could not be stored.
    """
    alias = router.db_for_write(WebhookEvent)
    connection = connections[alias]
    status = WebhookEvent.Status.IGNORED if ignored else WebhookEvent.Status.PENDING
    known = (event.id, event.type, event.resource_id, event.job_id) if event else ("", "", "", "")
    secret = connection.Database.Binary(crypto.encrypt(body))
    received_at = connection.ops.adapt_datetimefield_value(now)
    values = (endpoint_id, digest, delivery_id, *known, secret, status.value, ignored, received_at)
    # Where the caller is in a transaction, PostgreSQL needs a savepoint to survive a repeat.
    guard = transaction.atomic(using=alias) if connection.in_atomic_block else nullcontext()
    try:
        with guard, connection.cursor() as cursor:
            cursor.execute(_statement(alias), values)
    except IntegrityError:
        if not WebhookEvent.objects.using(alias).filter(endpoint=endpoint_id, digest=digest).exists():
            raise
        return False
    return True


@lru_cache
def _statement(alias: str) -> str:
    """Columns that are left out are null."""
    quote = connections[alias].ops.quote_name
    names = ", ".join(quote(name) for name in (*COLUMNS, "attempts"))
    marks = ", ".join(["%s"] * len(COLUMNS))
    return f"INSERT INTO {quote(WebhookEvent._meta.db_table)} ({names}) VALUES ({marks}, 0)"  # noqa: S608 - our names
