"""Installs that OpenTrain refuses: after a day they are treated as revoked.

``install.revoked`` can be lost for good: OpenTrain gives up a delivery after some hours, and a revoked token can't
request another one. But a refusal may also mean something else, such as a deactivated app (OpenTrain's documentation,
"Platform app"). So access stays for a day; then it ends with a cause that a successful call undoes. If no customer's
calls are accepted, a person is asked first.
"""

from __future__ import annotations

import logging

from django.utils import timezone

from django_opentrain import signals
from django_opentrain.conflicts import retried
from django_opentrain.models import AccessGrant, Install, installs
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event
from django_opentrain.services.access import grants
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
        held = 0 if install.removals_confirmed or not _all_are_refused(install) else given.count()
        is_news = held > install.removals_held
        install.removals_held, install.removals_confirmed = held, False
        Install.objects.filter(pk=install.pk).update(removals_held=held, removals_confirmed=False)
        if is_news:
            signals.send_on_commit(signals.removals_held, Install, install=install)
        if held:
            logger.error(
                "Install %s: OpenTrain has refused every customer for a day. %d grants stay until their removal is"
                " confirmed.",
                install.opentrain_id,
                held,
                extra=install.log_fields,
            )
            return 0
        return grants.revoke(
            given, f"{grants.INSTALL_CAUSE} refused since {install.refused_at:%Y-%m-%d %H:%M}"
        )


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
