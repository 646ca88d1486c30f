"""Reconnect: the new install takes over what the old one of the same customer had.

OpenTrain revokes the old install and starts the new one empty, while the contracts continue. So the contracts,
participants, grants and usage move over, and each link is created again.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from django_opentrain.models import AccessGrant, Contract, Install, Participant, ProjectLink
from django_opentrain.services import endpoints
from django_opentrain.services.access import grants
from django_opentrain.services.linking import generations
from django_opentrain.services.workers.locks import lock


def from_predecessors(install: Install, *, since: datetime | None = None) -> None:
    """Take over from every other install of this tenant at the same organization. The caller has locked them.

    ``since`` is when OpenTrain created the new one, by its own clock: that is when the old one ended.
    """
    generations.begin_again(install)
    others = Install.objects.filter(tenant=install.tenant, organization_id=install.organization_id)
    predecessors = others.exclude(pk=install.pk).exclude(status=Install.Status.PENDING)
    for old in predecessors.filter(superseded_by=None).order_by("pk"):
        _retire(old, install, since or timezone.now())
        # Participants before their grants: convergence locks them in this order, too.
        Participant.objects.filter(install=old).update(install=install)
        for link in ProjectLink.objects.live().filter(install=old):
            generations.carry_over(link, install)
        # The new install starts empty, so it has no contracts of its own.
        Contract.objects.filter(install=old).update(install=install)


def _retire(old: Install, new: Install, ended_at: datetime) -> None:
    was_live = old.status in Install.LIVE
    Install.objects.filter(pk=old.pk).update(
        superseded_by=new,
        status=Install.Status.REVOKED if was_live else old.status,
        revoked_at=min(old.revoked_at or ended_at, ended_at),
        token=None,
        # A worker that works on the old install has outdated data: it stops before its next change.
        lease=None,
        leased_until=None,
    )
    endpoints.give_up(old)


def end_abandoned() -> int:
    """Revoke the access that abandoned installs gave; returns how many grants that were."""
    total = 0
    installs = Install.objects.abandoned(timezone.now())
    wanted = AccessGrant.objects.wanted().values("contract__install")
    for key in list(installs.filter(pk__in=wanted).values_list("pk", flat=True)):
        with transaction.atomic():
            if lock(installs.filter(pk=key)) is None:
                continue  # its customer has just reconnected
            given = AccessGrant.objects.filter(contract__install=key)
            total += grants.revoke(given, f"{grants.INSTALL_CAUSE} revoked")
    return total
