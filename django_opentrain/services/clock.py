"""A clock that was set back: without this, what waits would wait longer by as much.

The scheduled work's heartbeat shows it: it lies ahead. Waits are moments in columns, and none may lie further ahead
than it can have been written: each is shortened to that.

A clock that is set back by less than ``heartbeat.CLOCK_TOLERANCE``, as by NTP, is left alone: what waits does so for
that much longer, a minute at most, and nothing depends on the order of times that are so close.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    Heartbeat,
    Install,
    Participant,
    TrainerAccount,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.services import endpoints
from django_opentrain.services.connect import consent
from django_opentrain.services.usage import reporting
from django_opentrain.services.workers import heartbeat, locks

logger = logging.getLogger(__name__)

#: What is retried, and what has happened.
_NOW: Final = timedelta()


def correct_waits() -> None:
    """End, or shorten, what waits for the clock that was set back. One query while it wasn't."""
    if not heartbeat.lies_ahead():
        return
    now = timezone.now()
    logger.error(
        "This machine's clock was set back: what waits by the earlier time is shortened. [clock-set-back]"
    )
    for rows, column, longest in _waits():
        latest: datetime = now + longest
        rows.filter(**{f"{column}__gt": latest}).update(**{column: latest})


def _waits() -> Iterator[tuple[QuerySet[Any], str, timedelta]]:
    """Rows, a column, and how far from now it can lie. The heartbeat is the last: what fails before is done again."""
    contracts, installs = Contract.objects.all(), Install.objects.all()
    invited = TrainerAccount.objects.all()
    sent = {"invitation": TrainerAccount.Invitation.SENT}
    # Leases, and attempts that may be under way.
    yield installs, "leased_until", locks.LEASE
    yield Participant.objects.all(), "leased_until", locks.CALL_LEASE
    yield contracts, "next_collect_at", locks.LEASE
    yield contracts, "next_announce_at", locks.CALL_LEASE
    yield contracts, "report_unconfirmed_until", reporting.LATEST_EFFECT
    yield invited.exclude(**sent), "next_invitation_at", locks.LEASE
    # Retries and pauses.
    yield AccessGrant.objects.all(), "next_attempt_at", _NOW
    yield WebhookEvent.objects.all(), "next_attempt_at", _NOW
    yield contracts, "next_report_at", _NOW
    yield installs, "next_reconcile_at", _NOW
    yield installs, "paused_until", _NOW
    # What has happened, from which other waits are counted.
    yield WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING), "received_at", _NOW
    yield contracts, "participants_read_at", _NOW
    yield installs, "reconciled_at", _NOW
    yield installs, "asserted_at", _NOW
    yield installs, "in_sync_since", _NOW
    yield installs, "refused_at", _NOW
    # Not of those that were replaced: OpenTrain's clock says when that was.
    yield installs.filter(superseded_by=None), "revoked_at", _NOW
    # What ends by itself.
    yield invited.filter(**sent), "next_invitation_at", timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
    yield WebhookEndpoint.objects.all(), "retire_at", endpoints.RETIREMENT
    yield ConsentRequest.objects.all(), "expires_at", consent.CONSENT_LIFETIME
    yield Heartbeat.objects.all(), "beat_at", _NOW
