"""The inbox: what the receiver stores, and how stored events take effect.

The receiver's part is one INSERT. Everything else happens later, from rows, as often as it takes.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db import InterfaceError, OperationalError, connections, router, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.conf import conf
from django_opentrain.crypto import SecretStr
from django_opentrain.models import Install, WebhookEndpoint, WebhookEvent
from django_opentrain.models.webhooks import WebhookEventQuerySet
from django_opentrain.platform import catalog, signing
from django_opentrain.platform.payloads import Event
from django_opentrain.platform.redaction import describe
from django_opentrain.platform.values import as_id
from django_opentrain.services import arrivals, dispatch, events
from django_opentrain.services.access import backoff
from django_opentrain.services.endpoints import RETIREMENT
from django_opentrain.services.locks import lock

logger = logging.getLogger(__name__)

#: Seconds for which a process remembers an endpoint. Its secret never changes: rotation makes a new endpoint.
ENDPOINT_CACHE_SECONDS: Final = 10.0
ENDPOINT_CACHE_SIZE: Final = 10_000
#: Attempts after which an event is FAILED and waits for a person (about ten hours).
MAX_ATTEMPTS: Final = 20
#: Events of one customer that are processed before the next customer's turn.
TURN: Final = 50


# Receiving ------------------------------------------------------------------------------------


class UnknownEndpoint(Exception):  # noqa: N818 - says the condition, as Django's DoesNotExist does
    """No endpoint has this key."""


class BadSignature(Exception):  # noqa: N818 - says the condition
    """The body was not signed with this endpoint's secret, or too long ago."""


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a delivery."""

    #: Whether its body had been stored before.
    duplicate: bool
    #: ``WebhookEvent.Status`` with which it was stored.
    status: str


@dataclass(frozen=True)
class _KnownEndpoint:
    pk: int
    secret: SecretStr
    forget_at: float


_known_endpoints: dict[uuid.UUID, _KnownEndpoint] = {}


def receive(key: uuid.UUID, headers: Mapping[str, str], body: bytes) -> Receipt:
    """Verify a delivery and store it.

    Only the signature's timestamp and the body are signed: what the other headers say is a hint for support.
    A body that was stored before is not stored again, whatever delivery id comes with it.

    Raises ``UnknownEndpoint``, ``BadSignature``, ``UndecryptableError``, or ``django.db.Error`` when it could not
    be stored.
    """
    try:
        return _receive(key, headers, body)
    except (OperationalError, InterfaceError):
        if not _died_while_idle():
            raise
    return _receive(key, headers, body)


def _died_while_idle() -> bool:
    """Whether it was a kept connection that ended, as all do when a database restarts; then the next use makes a new
    one. Should the INSERT have taken effect all the same, the second one is a repeat.
    """
    connection = connections[router.db_for_write(WebhookEvent)]
    if connection.connection is None or connection.in_atomic_block or connection.is_usable():
        return False
    connection.close()
    return True


def _receive(key: uuid.UUID, headers: Mapping[str, str], body: bytes) -> Receipt:
    endpoint = _endpoint(key)
    signature = _header(headers, catalog.SIGNATURE_HEADER)
    now = timezone.now()
    verified = signing.verify(
        endpoint.secret, signature, body, tolerance=conf.signature_tolerance, now=now.timestamp()
    )
    if not verified:
        raise BadSignature
    event = Event.from_body(body)
    reason = _reason_to_ignore(event)
    stored = arrivals.store(
        endpoint.pk,
        digest=hashlib.sha256(body).hexdigest(),
        delivery_id=as_id(_header(headers, catalog.DELIVERY_HEADER)),
        event=event,
        body=body,
        ignored=reason,
        now=now,
    )
    if stored and not reason:
        dispatch.nudge()
    status = WebhookEvent.Status.IGNORED if reason else WebhookEvent.Status.PENDING
    return Receipt(duplicate=not stored, status=status)


def _header(headers: Mapping[str, str], name: str) -> str:
    """Header names have no case (RFC 9110, section 5.1); a plain dict's keys do."""
    return headers.get(name) or headers.get(name.lower(), "")


def _reason_to_ignore(event: Event | None) -> str:
    """A signed body that means nothing to us is kept and answered 200: a 4xx would count towards disabling."""
    if event is None:
        return _("The body is not a JSON object.")
    if event.type not in catalog.EVENT_TYPES:
        return _("Unknown event type.")
    return ""


def _endpoint(key: uuid.UUID) -> _KnownEndpoint:
    now = time.monotonic()
    known = _known_endpoints.get(key)
    if known is not None and known.forget_at > now:
        return known
    # A secret that was rotated because it leaked must not be good for ever.
    long_gone = {"status": WebhookEndpoint.Status.REMOVED, "updated_at__lte": timezone.now() - RETIREMENT}
    row = WebhookEndpoint.objects.filter(key=key).exclude(**long_gone).first()
    secret = row and row.secret
    if row is None or not secret:
        raise UnknownEndpoint
    if len(_known_endpoints) >= ENDPOINT_CACHE_SIZE:
        _known_endpoints.clear()
    known = _KnownEndpoint(row.pk, secret, now + ENDPOINT_CACHE_SECONDS)
    _known_endpoints[key] = known
    return known


# Processing -----------------------------------------------------------------------------------


def process(event: WebhookEvent) -> WebhookEvent:
    """Let one event take effect, if it hasn't yet, and return it as it now is.

    The events of one install are applied one after the other. A failure is kept with the event, which is tried
    again later; its effect is all or nothing.
    """
    try:
        with transaction.atomic():
            _apply(event.pk, events.subject(event.endpoint.install))
    except Exception as error:  # noqa: BLE001 - no event may be lost, whatever its body does to our code
        _failed(event.pk, error)
    event.refresh_from_db()
    return event


def _apply(pk: int, install: Install) -> None:
    lock(Install.objects.filter(pk=install.pk))
    row = WebhookEvent.objects.select_related("endpoint__install").get(pk=pk)
    if row.status != WebhookEvent.Status.PENDING:
        return
    install.refresh_from_db()
    if install.superseded_by_id is not None:
        # A reconnect was faster than this lock.
        _apply(pk, events.subject(install))
        return
    event = None if row.body is None else Event.from_body(row.body)
    if event is None:
        ignored = _("The body is gone or is not a JSON object.")
    elif _took_effect_already(row):
        ignored = _("The same event took effect already.")
    else:
        ignored = events.apply(row.endpoint.install, install, event)
    row.status = WebhookEvent.Status.IGNORED if ignored else WebhookEvent.Status.PROCESSED
    row.error = ignored
    row.attempts += 1
    row.next_attempt_at = None
    row.processed_at = timezone.now()
    row.save(update_fields=["status", "error", "attempts", "next_attempt_at", "processed_at"])
    signals.send_on_commit(signals.event_received, WebhookEvent, event=row)


def _took_effect_already(row: WebhookEvent) -> bool:
    """An event takes effect once per install, however many endpoints and deliveries bring it."""
    if not row.event_id:
        return False
    others = WebhookEvent.objects.filter(
        event_id=row.event_id,
        endpoint__install=row.endpoint.install,
        type=row.type,
        status=WebhookEvent.Status.PROCESSED,
    )
    return others.exclude(pk=row.pk).exists()


def _failed(pk: int, error: Exception) -> None:
    with transaction.atomic():
        row = lock(WebhookEvent.objects.filter(pk=pk))
        if row is None or row.status != WebhookEvent.Status.PENDING:
            return
        row.attempts += 1
        row.error = describe(error)
        row.next_attempt_at = timezone.now() + backoff(row.attempts)
        if row.attempts >= MAX_ATTEMPTS:
            row.status = WebhookEvent.Status.FAILED
        row.save(update_fields=["status", "error", "attempts", "next_attempt_at"])
    logger.error("Webhook event %s (%s) failed, attempt %d: %s", pk, row.type, row.attempts, row.error)


def drain() -> int:
    """Process every event that is due, the customers in turn; returns how many were tried."""
    tried = 0
    while True:
        due = WebhookEvent.objects.due(timezone.now())
        before = tried
        for install_id in due.order_by().values_list("endpoint__install", flat=True).distinct():
            rows = due.filter(endpoint__install=install_id).select_related("endpoint__install")
            for row in rows.order_by("pk")[:TURN]:
                attempts = row.attempts
                tried += process(row).attempts != attempts
        if tried == before:
            return tried


def replay(events: WebhookEventQuerySet) -> int:
    """Make these events due again, whatever became of them; returns how many. Purged bodies can't be replayed."""
    again = events.filter(body__isnull=False)
    count = again.update(status=WebhookEvent.Status.PENDING, attempts=0, next_attempt_at=None, error="")
    dispatch.nudge_on_commit()
    return count
