"""Active time, as the timer in a trainer's browser measures it.

A browser's clock isn't trusted: it sends how long ago an interval ended, and none begins before the moment at which
this site has opened the timer for it. That is in a ticket, which only this site can make, for one user and project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from django_opentrain.crypto import decrypt, seal, to_text
from django_opentrain.errors import UndecryptableError
from django_opentrain.models import WorkEntry
from django_opentrain.services.work.observing import has_access, observe

#: An interval may be sent so late, as one that was kept while the browser was offline.
LATEST: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Time in which a trainer was active: ``seconds`` long, ended ``ago`` seconds ago."""

    key: str
    ago: float
    seconds: float


class TicketRefused(Exception):  # noqa: N818 - says what it is
    """This ticket opens nothing: it is another user's or project's, or was changed."""


def open_timer(user_id: object, external_project_id: str) -> str | None:
    """A ticket for ``record_activity``; None for people who are not trainers with access to the project."""
    if not has_access(user_id, external_project_id):
        return None
    opened = timezone.now().isoformat().encode()
    return to_text(seal(opened, _place(user_id, external_project_id))).decode()


def record_activity(
    user_id: object, external_project_id: str, ticket: str, intervals: Iterable[Interval]
) -> int:
    """Observe these intervals; returns how many of them are new. Raises ``TicketRefused``."""
    try:
        opened = decrypt(ticket.encode(), _place(user_id, external_project_id))
        since = datetime.fromisoformat(opened.decode())
    except (UndecryptableError, ValueError):
        raise TicketRefused from None
    now = timezone.now()
    return sum(
        _record(user_id, external_project_id, each, max(since, now - LATEST), now) for each in intervals
    )


def _record(user_id: object, project: str, interval: Interval, since: datetime, now: datetime) -> bool:
    until = now - timedelta(seconds=interval.ago)
    seconds = min(interval.seconds, (until - since).total_seconds())
    if seconds <= 0:
        return False
    kind = WorkEntry.Kind.ACTIVITY
    return observe(user_id, project, kind, seconds=seconds, at=until, key=_key(user_id, project, interval))


def _key(user_id: object, project: str, interval: Interval) -> str:
    """One that no other user can take first."""
    return "activity " + hashlib.sha256(f"{user_id}\n{project}\n{interval.key}".encode()).hexdigest()[:40]


def _place(user_id: object, project: str) -> bytes:
    return f"timer of {user_id} in {project}".encode()
