"""Reconnect: the new install takes over what the old one of the same customer had.

OpenTrain revokes the old install and starts the new one empty, while the contracts continue. So the contracts,
participants, grants and usage move over, and each link is created again.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from django_opentrain.conflicts import retried
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, Participant, ProjectLink
from django_opentrain.services import endpoints
from django_opentrain.services.access import breaker, contracts, grants
from django_opentrain.services.linking import generations
from django_opentrain.services.workers.locks import lock
from django_opentrain.transactions import atomic

logger = logging.getLogger(__name__)


def from_predecessors(
    install: Install, *, since: datetime | None = None, proven: frozenset[int] = frozenset()
) -> None:
    """Take over from every other install of this tenant at the same organization. The caller has locked them.

    ``since`` is when OpenTrain created the new one, by its own clock: that is when the old one ended. ``proven`` are
    keys of those that are of the same organization although an id is missing: one that is missing equals no other.
    """
    generations.begin_again(install)
    same = Q(pk__in=proven) | (Q(organization_id=install.organization_id) & ~Q(organization_id=""))
    others = Install.objects.filter(same, tenant=install.tenant, superseded_by=None).exclude(pk=install.pk)
    # The newest first: where two have the same, it knows more.
    for old in others.exclude(status=Install.Status.PENDING).order_by("-pk"):
        _retire(old, install, since or timezone.now())
        _learn_organization(old, install)
        # Participants before their grants: convergence locks them in this order, too.
        _move_participants(old, install)
        for link in ProjectLink.objects.live().filter(install=old):
            generations.carry_over(link, install)
        _move_contracts(old, install)


def _learn_organization(old: Install, new: Install) -> None:
    known = new.organization_id or old.organization_id
    Install.objects.filter(pk__in=(old.pk, new.pk), organization_id="").update(organization_id=known)
    new.organization_id = known


def _move_participants(old: Install, new: Install) -> None:
    existing = Participant.objects.filter(install=new)
    known = existing.values("opentrain_user_id")
    twice = list(Participant.objects.filter(install=old, opentrain_user_id__in=known))
    for participant in twice:
        same = existing.get(opentrain_user_id=participant.opentrain_user_id)
        AccessGrant.objects.filter(participant=participant).update(participant=same)
        Contract.objects.filter(trainer=participant).update(trainer=same)
        participant.delete()
    Participant.objects.filter(install=old).update(install=new)


def _move_contracts(old: Install, new: Install) -> None:
    existing = Contract.objects.filter(install=new)
    known = existing.values("opentrain_id")
    twice = list(Contract.objects.filter(install=old, opentrain_id__in=known))
    for contract in twice:
        _fold(contract, existing.get(opentrain_id=contract.opentrain_id))
    Contract.objects.filter(install=old).exclude(pk__in=[each.pk for each in twice]).update(install=new)


def _fold(contract: Contract, same: Contract) -> None:
    """Two installs knew one contract: its work goes to the newer record, which says who has access."""
    taken = set(same.usage.values_list("worker_id", "work_date"))
    days = contract.usage.values_list("pk", "worker_id", "work_date")
    free = [pk for pk, worker_id, work_date in days if (worker_id, work_date) not in taken]
    DailyUsage.objects.filter(pk__in=free).update(contract=same)
    Contract.objects.filter(pk=same.pk).update(usage_basis="")  # its days are derived anew
    if withheld := max(
        filter(None, (contract.hours_withheld_until, same.hours_withheld_until)), default=None
    ):
        Contract.objects.filter(pk=same.pk).update(hours_withheld_until=withheld)
    if contract.status == Contract.Status.ENDED:
        contracts.end(same, f"{grants.INSTALL_CAUSE} replaced: the contract had ended")
    grants.revoke(AccessGrant.objects.filter(contract=contract), f"{grants.INSTALL_CAUSE} replaced")


def _retire(old: Install, new: Install, ended_at: datetime) -> None:
    was_live = old.status in Install.LIVE
    Install.objects.filter(pk=old.pk).update(
        superseded_by=new,
        status=Install.Status.REVOKED if was_live else old.status,
        revoked_at=min(old.revoked_at or ended_at, ended_at),
        token=None,
        removals_held=0,
        # A worker that works on the old install has outdated data: it stops before its next change.
        lease=None,
        leased_until=None,
    )
    endpoints.give_up(old)


def end_abandoned() -> int:
    """Revoke the access that abandoned installs gave; returns how many grants that were.

    Unusually many are held until a person confirms it: another site that was connected with the same app may have
    ended the connection, while everyone goes on to work here.
    """
    held = Q(removals_held__gt=0, removals_confirmed=False)
    installs = Install.objects.abandoned(timezone.now()).exclude(held)
    given = AccessGrant.objects.unrevoked().values("contract__install")
    return sum(map(_end_access, list(installs.filter(pk__in=given).values_list("pk", flat=True))))


@retried
def _end_access(install_id: int) -> int:
    with atomic():
        install = lock(Install.objects.abandoned(timezone.now()).filter(pk=install_id))
        if install is None:
            return 0  # its customer has just reconnected
        given = AccessGrant.objects.unrevoked().filter(contract__install=install)
        removals = given.count()
        if breaker.is_unusual(removals, removals) and not install.removals_confirmed:
            _hold(install, removals)
            return 0
        breaker.record(install, 0)
        return grants.revoke(given, f"{grants.INSTALL_CAUSE} revoked")


def _hold(install: Install, removals: int) -> None:
    breaker.record(install, removals)
    logger.error(
        "Install %s was ended on OpenTrain, which would revoke all %d grants."
        " Nothing is revoked until it is confirmed. [removals-held]",
        install.opentrain_id,
        removals,
        extra=install.log_fields,
    )
