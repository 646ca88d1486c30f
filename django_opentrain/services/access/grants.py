"""Desired access: who should be let in, who should not, and why.

Events, reconciliation and operators only write here what should be; ``services.access`` makes it true.
"""

from __future__ import annotations

from typing import Final

from django.db.models import Case, F, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.errors import OperationRefused
from django_opentrain.explanations import NO_REASON
from django_opentrain.models import AccessGrant, Contract, Participant, ProjectLink
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.services.workers import wakeup
from django_opentrain.services.workers.locks import install_lock

#: How the causes of those removals begin that a new install of the same customer undoes.
INSTALL_CAUSE: Final = "install"

_CAUSE_LENGTH: Final = 300


def grant(contract: Contract, link: ProjectLink, participant: Participant, cause: str) -> AccessGrant:
    """This trainer should have access to this project. What an explicit removal took away stays away."""
    row, created = AccessGrant.objects.get_or_create(
        contract=contract,
        link=link,
        participant=participant,
        defaults={"cause": cause[:_CAUSE_LENGTH], "desired_at": timezone.now()},
    )
    if not created and is_revivable(row):
        _desire(AccessGrant.objects.filter(pk=row.pk), AccessGrant.Desired.GRANTED, cause)
        row.refresh_from_db()
    wakeup.wake_workers_on_commit()
    return row


def remember(contract: Contract, link: ProjectLink, participant: Participant, cause: str) -> None:
    """This trainer may have access to this project: have a row for it, so that it can be removed."""
    if link.provisioning_mode != ProjectLink.ProvisioningMode.MANAGED_ADAPTER:
        grant(contract, link, participant, cause)


def is_revivable(row: AccessGrant) -> bool:
    """Whether the grant was removed only because its install went, so that a new install brings it back."""
    return row.desired == AccessGrant.Desired.REVOKED and row.cause.startswith(INSTALL_CAUSE)


def withdraw(grants: AccessGrantQuerySet, cause: str) -> int:
    """These grants should go; returns how many of them were wanted until now."""
    changed = _desire(grants.wanted(), AccessGrant.Desired.REVOKED, cause)
    if changed:
        wakeup.wake_workers_on_commit()
    return changed


def restore(row: AccessGrant, cause: str) -> None:
    """An operator gives back what was taken away. Raises ``OperationRefused`` where there is nothing to return to."""
    with install_lock(row.contract.install):
        fresh = AccessGrant.objects.select_related("contract__install", "link").get(pk=row.pk)
        if fresh.contract.status == Contract.Status.ENDED:
            raise OperationRefused(_("The contract has ended: access can't be given back."))
        if not fresh.contract.install.is_live:
            raise OperationRefused(_("The customer is not connected any more: access can't be given back."))
        if not fresh.link.grants_access:
            raise OperationRefused(_("The project is not linked any more: access can't be given back."))
        _desire(AccessGrant.objects.filter(pk=row.pk), AccessGrant.Desired.GRANTED, cause)
    wakeup.wake_workers_on_commit()


def retry_now(grants: AccessGrantQuerySet) -> int:
    """Make the next attempt of these grants due at once; returns for how many there is something to do."""
    changed = grants.unsettled().update(next_attempt_at=None, updated_at=timezone.now())
    wakeup.wake_workers_on_commit()
    return changed


def email_arrived(participant: Participant) -> None:
    """A trainer's Work Email is new or has changed: give access with it."""
    wanted = AccessGrant.objects.filter(participant=participant).wanted()
    wanted.update(
        state=AccessGrant.State.PENDING, attempts=0, next_attempt_at=None, updated_at=timezone.now()
    )
    wakeup.wake_workers_on_commit()


def _desire(grants: AccessGrantQuerySet, desired: str, cause: str) -> int:
    now = timezone.now()
    # A state that seems right already: a worker may have been killed on its way to the other one, so make sure.
    unsure = When(state=desired, then=Value(AccessGrant.State.PENDING))
    return grants.exclude(desired=desired).update(
        desired=desired,
        state=Case(unsure, default=F("state")),
        cause=cause[:_CAUSE_LENGTH],
        desired_at=now,
        attempts=0,
        attempt_began_at=None,
        next_attempt_at=None,
        **NO_REASON.columns("last_error"),
        updated_at=now,
    )
