"""Storing a delivery: the one statement of the receiver's request.

Not ``save()`` or ``bulk_create()``: a model instance, its fields' preparation, a transaction and signals would cost
more than the INSERT itself (measured by ``benchmarks/receiver.py``). Not ``INSERT IGNORE``: MySQL's would hide every
other error, and lose the event.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.db import IntegrityError, connections, router, transaction

from django_opentrain import crypto
from django_opentrain.explanations import NOTE
from django_opentrain.models import WebhookEvent
from django_opentrain.platform.payloads import Event

#: The columns that differ between pending deliveries. Each parameter costs a few percent of the whole.
COLUMNS: Final = (
    "endpoint_id",
    "digest",
    "delivery_id",
    "event_id",
    "type",
    "resource_id",
    "job_id",
    "body",
    "received_at",
)
BODY: Final[Any] = WebhookEvent._meta.get_field("body")
#: The constant columns, as SQL; all others are null.
CONSTANTS: Final = {
    "status": f"'{WebhookEvent.Status.PENDING.value}'",
    "error": "''",
    "error_code": "''",
    "attempts": "0",
}


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
    ids = (event.id, event.type, event.resource_id, event.job_id) if event else ("", "", "", "")
    # As text: for the cast of a datetime psycopg looks its type up, at each delivery.
    received_at = str(connection.ops.adapt_datetimefield_value(now))
    sealed = crypto.seal(body, BODY.place_of(str(endpoint_id), digest))
    values: list[Any] = [endpoint_id, digest, delivery_id, *ids, sealed, received_at]
    if ignored:
        values += [WebhookEvent.Status.IGNORED.value, ignored, NOTE]
    # If the caller is in a transaction, PostgreSQL needs a savepoint to survive a duplicate.
    guard = transaction.atomic(using=alias) if connection.in_atomic_block else nullcontext()
    try:
        with guard, connection.cursor() as cursor:
            cursor.execute(_statement(alias, ignored=bool(ignored)), values)
    except IntegrityError:
        if not WebhookEvent.objects.using(alias).filter(endpoint=endpoint_id, digest=digest).exists():
            raise
        return False
    return True


@lru_cache
def _statement(alias: str, *, ignored: bool) -> str:
    """The INSERT for a pending delivery, or for one that is ignored with a reason."""
    quote = connections[alias].ops.quote_name
    own = (*COLUMNS, "status", "error", "error_code") if ignored else COLUMNS
    values = dict.fromkeys(own, "%s") | {name: sql for name, sql in CONSTANTS.items() if name not in own}
    names = ", ".join(map(quote, values))
    table = quote(WebhookEvent._meta.db_table)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join(values.values())})"  # noqa: S608 - our own words
