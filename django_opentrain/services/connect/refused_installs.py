"""Installs that OpenTrain refuses: after a day they are treated as revoked.

``install.revoked`` can be lost for good: OpenTrain gives up a delivery after some hours, and a revoked token can't
request another one. But a refusal may also mean something else, such as a deactivated app (OpenTrain's documentation,
"Platform app"). So access stays for a day; then it ends with a cause that a successful call undoes. If no customer's
calls are accepted, or if the access is of unusually many trainers, a person is asked first.
"""

from __future__ import annotations

import logging

from django.utils import timezone

from django_opentrain.conflicts import retried
from django_opentrain.models import AccessGrant, Install, installs
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event
from django_opentrain.services.access import breaker, grants
from django_opentrain.services.workers.locks import install_lock

logger = logging.getLogger(__name__)


@retried
def end_access(install: Install) -> int:
    """Revoke the access that a refused install gave, after a day; returns how many grants that were.

    Call it only when OpenTrain has just refused the install again: this site may have been down for longer than the
    refusal lasted.
    """
    with install_lock(install):
        install.refresh_from_db()
        ends_at = install.access_ends_at
        if not install.is_live or ends_at is None or ends_at > timezone.now():
            return 0
        given = AccessGrant.objects.unrevoked().filter(contract__install=install)
        reason = "" if install.removals_confirmed else _reason_to_ask(install, given.count())
        breaker.record(install, given.count() if reason else 0)
        if reason:
            logger.error(
                "Install %s: OpenTrain has refused %s for a day. %d grants stay until their removal is confirmed."
                " [removals-held]",
                install.opentrain_id,
                reason,
                install.removals_held,
                extra=install.log_fields,
            )
            return 0
        return grants.revoke(
            given, f"{grants.INSTALL_CAUSE} refused since {install.refused_at:%Y-%m-%d %H:%M}"
        )


def _reason_to_ask(install: Install, removals: int) -> str:
    """Who is refused, if that is a reason to ask before anything is revoked; or ""."""
    if _all_are_refused(install):
        return "every customer"
    return "a customer with many trainers" if breaker.is_unusual(removals, removals) else ""


def _all_are_refused(install: Install) -> bool:
    """Whether all customers are refused, since about the same time: then the reason is our app or its calls."""
    others = Install.objects.live().exclude(pk=install.pk)
    if install.refused_at is None or others.filter(refused_at=None).exists():
        return False
    return others.filter(refused_at__gte=install.refused_at - installs.REFUSAL_GRACE).exists()


def note_event_received(install: Install, event: Event) -> None:
    """An event proves that the install is active, even if our calls fail: OpenTrain emits none for others."""
    emitted_at = event.created_at
    if event.type == catalog.INSTALL_REVOKED or install.refused_at is None or emitted_at is None:
        return
    if not install.is_live:
        return  # a superseded install may be locked by a process that waits for its successor
    if install.refused_at < emitted_at <= timezone.now():
        Install.objects.filter(pk=install.pk).update(refused_at=emitted_at)
        install.refused_at = emitted_at
