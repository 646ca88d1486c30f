"""Receiving a delivery: verify it, store it with one INSERT, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from django.db import InterfaceError, InternalError, OperationalError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.conflicts import repeat_after_conflicts
from django_opentrain.errors import BadSignature, UnknownEndpoint
from django_opentrain.models import WebhookEndpoint, WebhookEvent
from django_opentrain.platform import catalog, signing
from django_opentrain.platform.payloads import Event
from django_opentrain.platform.values import as_id
from django_opentrain.services.inbox import deliveries
from django_opentrain.services.workers import connections, wakeup

T = TypeVar("T")

#: Seconds for which a process caches an endpoint. Its secret never changes: rotation creates a new endpoint.
ENDPOINT_CACHE_SECONDS: Final = 10.0
ENDPOINT_CACHE_SIZE: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The result of a delivery."""

    #: Whether its body had been stored before.
    duplicate: bool
    #: ``WebhookEvent.Status`` with which it was stored.
    status: str


@dataclass(frozen=True)
class _KnownEndpoint:
    pk: int
    key: hmac.HMAC
    forget_at: float


_known_endpoints: dict[uuid.UUID, _KnownEndpoint] = {}
#: Keys without an endpoint, and when to query them again. A key is random: none is requested before it exists.
_unknown_keys: dict[uuid.UUID, float] = {}


class CheckedHeaders(NamedTuple):
    """The headers of a delivery that may be OpenTrain's: its body shows whether it is."""

    endpoint: _KnownEndpoint
    signature: signing.Signature
    #: Seconds.
    tolerance: int
    delivery_id: str


def check_headers(key: uuid.UUID, headers: Mapping[str, str]) -> CheckedHeaders:
    """Refuse what can be refused before the body is read, which a sender may send slowly.

    Raises ``UnknownEndpoint``, ``BadSignature``, ``UndecryptableError``, or ``django.db.Error`` when it could not
    be looked up.
    """
    endpoint = _endpoint(key)
    signature, tolerance = signing.parse(_header(headers, catalog.SIGNATURE_HEADER)), conf.signature_tolerance
    if signature is None or not signature.is_timely(tolerance, timezone.now().timestamp()):
        raise BadSignature
    return CheckedHeaders(endpoint, signature, tolerance, as_id(_header(headers, catalog.DELIVERY_HEADER)))


def receive(key: uuid.UUID, headers: Mapping[str, str], body: bytes) -> Receipt:
    """Verify a delivery and store it.

    Only the signature's timestamp and the body are signed: the other headers are hints for support. A body that was
    stored before is not stored again, whatever its delivery id is.

    Raises ``UnknownEndpoint``, ``BadSignature``, ``UndecryptableError``, or ``django.db.Error`` when it could not
    be stored.
    """
    return receive_body(check_headers(key, headers), body)


def receive_body(headers: CheckedHeaders, body: bytes) -> Receipt:
    """Verify the body that belongs to these headers, and store it.

    Raises ``BadSignature``, or ``django.db.Error`` when it could not be stored.
    """
    endpoint, signature, tolerance, delivery_id = headers
    now = timezone.now()
    # Its time once more: the body may have taken long.
    if not (signature.is_timely(tolerance, now.timestamp()) and signature.signs(body, endpoint.key)):
        raise BadSignature
    event = Event.from_body(body)
    reason = _reason_to_ignore(event)
    stored = _retrying(
        lambda: deliveries.store(
            endpoint.pk,
            digest=hashlib.sha256(body).hexdigest(),
            delivery_id=delivery_id,
            event=event,
            body=body,
            ignored=reason,
            now=now,
        )
    )
    if stored and not reason:
        wakeup.wake_workers()
    status = WebhookEvent.Status.IGNORED if reason else WebhookEvent.Status.PENDING
    return Receipt(duplicate=not stored, status=status)


def _retrying(step: Callable[[], T], most: int | None = None) -> T:
    """Take a step; again after a conflict, and on a new connection where a kept one was stale.

    All of a pool's may be. If the INSERT has taken effect nevertheless, the second one is a duplicate.
    """
    try:
        return repeat_after_conflicts(step)
    except (InterfaceError, InternalError, OperationalError) as error:
        most = connections.most_stale() if most is None else most
        if not most or not connections.discard_if_stale(error):
            raise
    return _retrying(step, most - 1)


def _header(headers: Mapping[str, str], name: str) -> str:
    """Header names are case-insensitive (RFC 9110, section 5.1); a plain dict's keys aren't."""
    return headers.get(name) or headers.get(name.lower(), "")


def _reason_to_ignore(event: Event | None) -> str:
    """A signed body that we can't use is stored and answered 200: a 4xx would count towards disabling."""
    if event is None:
        return _("The body is not a JSON object.")
    if event.type not in catalog.EVENT_TYPES:
        return _("Unknown event type.")
    return ""


def _endpoint(key: uuid.UUID) -> _KnownEndpoint:
    cached = _known_endpoints.get(key)
    if cached is not None and cached.forget_at > time.monotonic():
        return cached
    return _retrying(lambda: _look_up(key))


def _look_up(key: uuid.UUID) -> _KnownEndpoint:
    now = time.monotonic()
    if _unknown_keys.get(key, now) > now:
        raise UnknownEndpoint
    row = _live_row(key)
    secret = row and row.secret
    if row is None or not secret:
        _remember(_unknown_keys, key, now + ENDPOINT_CACHE_SECONDS)
        raise UnknownEndpoint
    known = _KnownEndpoint(row.pk, signing.keyed(secret), now + ENDPOINT_CACHE_SECONDS)
    return _remember(_known_endpoints, key, known)


def _live_row(key: uuid.UUID) -> WebhookEndpoint | None:
    # The secret of an endpoint that was replaced or removed must not stay valid indefinitely.
    return WebhookEndpoint.objects.filter(key=key).exclude(retire_at__lte=timezone.now()).first()


def _remember(cache: dict[uuid.UUID, T], key: uuid.UUID, value: T) -> T:
    if len(cache) >= ENDPOINT_CACHE_SIZE:
        cache.clear()
    cache[key] = value
    return value
