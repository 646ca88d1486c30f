"""The delivery engine: signs, posts, retries, gives up, and disables endpoints that keep failing.

Source: platform-api, "Webhooks". For what isn't documented see :mod:`.readings`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy

import requests

from django_opentrain.platform import catalog
from django_opentrain.platform.signing import sign
from django_opentrain.sandbox.lookup import find_owned
from django_opentrain.sandbox.models import DELIVERED, FAILED, PENDING, Attempt, Delivery, Endpoint, Event
from django_opentrain.sandbox.store import Store

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = len(catalog.DELIVERY_RETRY_MINUTES) + 1
#: At most so many deliveries to one endpoint at a time: one that hangs can't hold all senders.
PER_ENDPOINT = 4

#: Posts ``body`` to ``url`` and returns the HTTP status; raises when there was no answer.
Sender = Callable[[str, Mapping[str, str], bytes], int]


@dataclass(frozen=True)
class Outgoing:
    """One signed request, ready to send without holding the lock."""

    delivery_id: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class HttpSender:
    """The real :data:`Sender`: no proxies, ``.netrc``, redirects or cookies; ten seconds.

    A new connection for each: a kept one that the receiver is just closing would cost an attempt.
    """

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        response = self._session.post(
            url,
            data=body,
            headers={**headers, "Connection": "close"},
            timeout=catalog.DELIVERY_TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
        )
        with response:
            return response.status_code

    def close(self) -> None:
        self._session.close()


class DeliveryEngine:
    """Takes due deliveries from the store to their endpoints through ``sender``."""

    def __init__(self, store: Store, sender: Sender) -> None:
        self.store = store
        self.sender = sender
        self._in_flight: dict[str, str] = {}

    def deliver_due(self) -> int:
        """One pass, in the caller's thread: attempt all that is due now. Returns how many."""
        with self.store.transaction():
            due = self.store.pending_deliveries()
        attempted = 0
        for delivery in due:
            outgoing = self._claim(delivery)
            if outgoing is not None:
                self.attempt(outgoing)
                attempted += 1
        return attempted

    def claim_next(self) -> Outgoing | None:
        """The next due delivery that isn't being sent, signed; pass it to :meth:`attempt`."""
        with self.store.transaction():
            busy = Counter(self._in_flight.values())
            for delivery in self.store.pending_deliveries():
                if busy[delivery.endpoint_id] < PER_ENDPOINT:
                    outgoing = self._claim(delivery)
                    if outgoing is not None:
                        return outgoing
        return None

    def next_due_at(self) -> float | None:
        """When the next delivery that isn't under way falls due, on the sandbox's clock."""
        with self.store.transaction():
            pending = self.store.pending_deliveries()
            return min((e.next_attempt_at for e in pending if self._waits(e)), default=None)

    def attempt(self, outgoing: Outgoing) -> None:
        """Send one claimed delivery and record what came of it."""
        status, error = None, "interrupted"
        try:
            status = self.sender(outgoing.url, outgoing.headers, outgoing.body)
            error = "" if 200 <= status < 300 else f"HTTP {status}"
        except Exception as failure:  # noqa: BLE001  # whatever the receiver does: it has failed
            error = type(failure).__name__
            logger.info("Delivery %s: %s", outgoing.delivery_id, error)
        finally:
            with self.store.transaction():
                self._in_flight.pop(outgoing.delivery_id, None)
                self._record(outgoing.delivery_id, status, error)

    def _waits(self, delivery: Delivery) -> bool:
        """Whether it is to be sent, now or later: pending, endpoint active, not under way."""
        endpoint = self.store.get(Endpoint, delivery.endpoint_id)
        active = endpoint is not None and endpoint.status == catalog.ENDPOINT_ACTIVE
        return active and delivery.status == PENDING and delivery.id not in self._in_flight

    def _claim(self, delivery: Delivery) -> Outgoing | None:
        """Sign a delivery afresh; None when it isn't due, or was discarded or claimed in between."""
        with self.store.transaction():
            endpoint = self.store.get(Endpoint, delivery.endpoint_id)
            event = self.store.get(Event, delivery.event_id)
            due = self._waits(delivery) and delivery.next_attempt_at <= self.store.clock.now()
            if endpoint is None or event is None or not due:
                return None
            self._in_flight[delivery.id] = endpoint.id
            return signed(delivery, endpoint, event, int(self.store.clock.wall()))

    def _record(self, delivery_id: str, status: int | None, error: str) -> None:
        delivery = self.store.get(Delivery, delivery_id)
        endpoint = None if delivery is None else self.store.get(Endpoint, delivery.endpoint_id)
        if delivery is None or endpoint is None:
            return  # the endpoint was deleted while it was sent, and its deliveries with it
        now = self.store.clock.now()
        delivery.tries += 1
        delivery.attempts.append(Attempt(at=now, status=status, error=error))
        if not error:
            delivery.status = DELIVERED
            endpoint.consecutive_failures = 0
        else:
            exhausted = delivery.tries >= MAX_ATTEMPTS
            if exhausted:
                delivery.status = FAILED
            else:
                delivery.next_attempt_at = self._next_attempt(delivery)
            if exhausted or self.store.readings.failures == "attempts":
                endpoint.consecutive_failures += 1
        self.store.put(delivery)
        self.store.put(endpoint)
        too_many = endpoint.consecutive_failures >= catalog.DISABLE_AFTER_FAILURES
        if too_many and endpoint.status == catalog.ENDPOINT_ACTIVE:
            self._disable(endpoint)

    def _next_attempt(self, delivery: Delivery) -> float:
        """When a delivery that has just failed is retried."""
        since_first = self.store.readings.retry_delays == "since-first"
        start = delivery.attempts[-delivery.tries if since_first else -1].at
        minutes = catalog.DELIVERY_RETRY_MINUTES[delivery.tries - 1]
        return max(self.store.clock.now(), start + 60 * minutes)

    def _disable(self, endpoint: Endpoint) -> None:
        endpoint.status = catalog.ENDPOINT_DISABLED
        endpoint.disabled_at = self.store.clock.now()
        endpoint.disabled_reason = f"{catalog.DISABLE_AFTER_FAILURES} consecutive failed deliveries"
        self.store.put(endpoint)
        fail_pending(self.store, endpoint)


def fail_pending(store: Store, endpoint: Endpoint) -> None:
    """Give up what an endpoint hasn't taken yet."""
    for delivery in store.owned(Delivery, endpoint.id):
        if delivery.status == PENDING:
            delivery.status = FAILED
            store.put(delivery)


def signed(delivery: Delivery, endpoint: Endpoint, event: Event, timestamp: int) -> Outgoing:
    """The request that brings ``event`` to ``endpoint``, signed at ``timestamp``."""
    # Lone surrogates can't be encoded; JavaScript escapes them, which is what this does.
    body = event.body.encode("utf-8", errors="backslashreplace")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": catalog.WEBHOOK_USER_AGENT,
        catalog.EVENT_HEADER: event.type,
        catalog.DELIVERY_HEADER: delivery.id,
        catalog.SIGNATURE_HEADER: sign(endpoint.secret, body, timestamp),
    }
    return Outgoing(delivery_id=delivery.id, url=endpoint.url, headers=headers, body=body)


def requeue(store: Store, endpoint: Endpoint, delivery_id: str | None) -> int:
    """Queue the failed deliveries again, or the one named, whatever its status; returns how many.

    404 when the endpoint has no such delivery.
    """
    if delivery_id is None:
        chosen = [each for each in store.owned(Delivery, endpoint.id) if each.status == FAILED]
    else:
        chosen = [find_owned(store, Delivery, delivery_id, endpoint.id)]
    for delivery in chosen:
        delivery.status = PENDING
        delivery.tries = 0
        delivery.next_attempt_at = store.clock.now()
        store.put(delivery)
    return len(chosen)
