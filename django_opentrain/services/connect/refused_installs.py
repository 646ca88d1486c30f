"""An install that OpenTrain refuses: when that has lasted for a day, it is taken for revoked.

``install.revoked`` can be lost for good: OpenTrain gives a delivery up after some hours, and a dead token can't ask
for another one. But a refusal alone may mean other things, a deactivated app for one (OpenTrain's documentation,
"Platform app"). So access stays for a day, ends then for a reason that a good answer undoes, and when no customer's
calls are accepted, a person is asked first.
"""

from __future__ import annotations

import logging

from django.utils import timezone

from django_opentrain.models import AccessGrant, Install, installs
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event
from django_opentrain.services.access import grants
from django_opentrain.services.workers.locks import install_lock

logger = logging.getLogger(__name__)


def end_access(install: Install) -> int:
    """Withdraw what a refused install gave, once its time is over; returns how many grants that were.

    Call it when OpenTrain has just refused the install again, not for what was known before: this site may have
    been down for longer than the refusal lasted.
    """
    with install_lock(install):
        install.refresh_from_db()
        ends_at = install.access_ends_at
        if not install.is_live or ends_at is None or ends_at > timezone.now():
            return 0
        given = AccessGrant.objects.wanted().filter(contract__install=install)
        held = 0 if install.removals_confirmed or not _everybody_is_refused(install) else given.count()
        Install.objects.filter(pk=install.pk).update(removals_held=held, removals_confirmed=False)
        if held:
            logger.error(
                "Install %s: OpenTrain has refused every customer for a day. %d grants stay until their removal is"
                " confirmed.",
                install.opentrain_id,
                held,
            )
            return 0
        return grants.revoke(
            given, f"{grants.INSTALL_CAUSE} refused since {install.refused_at:%Y-%m-%d %H:%M}"
        )


def _everybody_is_refused(install: Install) -> bool:
    """Whether all customers share the fate, since about the same time: then it is about us, the app or its calls."""
    others = Install.objects.live().exclude(pk=install.pk)
    if install.refused_at is None or others.filter(refused_at=None).exists():
        return False
    return others.filter(refused_at__gte=install.refused_at - installs.REFUSAL_GRACE).exists()


def note_event_received(install: Install, event: Event) -> None:
    """An event tells that the install stands, whatever becomes of our calls: OpenTrain emits none for others."""
    told_at = event.created_at
    if event.type == catalog.INSTALL_REVOKED or install.refused_at is None or told_at is None:
        return
    if not install.is_live:
        return  # what was taken over may be locked by whoever waits for the one that took over
    if install.refused_at < told_at <= timezone.now():
        Install.objects.filter(pk=install.pk).update(refused_at=told_at)
