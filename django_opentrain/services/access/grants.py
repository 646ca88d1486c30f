"""Desired access: who should have access, who should not, and why.

Events, reconciliation and operators only record the desired state here; convergence makes it true.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conflicts import retried
from django_opentrain.errors import OperationRefused
from django_opentrain.explanations import NO_REASON
from django_opentrain.models import AccessGrant, Contract, Install, Participant, ProjectLink
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.services.workers import wakeup
from django_opentrain.services.workers.locks import install_lock

#: The prefix of the causes of removals that a new install of the same customer undoes.
INSTALL_CAUSE: Final = "install"

#: Revoked only because their install ended, so that a new install restores them.
REVIVABLE: Final = Q(desired=AccessGrant.Desired.REVOKED, cause__startswith=INSTALL_CAUSE)

_CAUSE_LENGTH: Final = 300


def new(contract: Contract, link: ProjectLink, participant: Participant, cause: str) -> AccessGrant:
    """A grant that is not saved yet."""
    return AccessGrant(
        contract=contract,
        link=link,
        participant=participant,
        cause=cause[:_CAUSE_LENGTH],
        desired_at=timezone.now(),
    )


def grant(contract: Contract, link: ProjectLink, participant: Participant, cause: str) -> AccessGrant:
    """This trainer should have access to this project. An explicit removal stays in effect."""
    row, created = AccessGrant.objects.get_or_create(
        contract=contract,
        link=link,
        participant=participant,
        defaults={"cause": cause[:_CAUSE_LENGTH], "desired_at": timezone.now()},
    )
    same, changed = AccessGrant.objects.filter(pk=row.pk), 0
    if not created and is_revivable(row):
        changed = _desire(same, AccessGrant.Desired.GRANTED, cause)
    if link.stop_when_depleted:
        changed += follow_budgets(same)
    if changed:
        row.refresh_from_db()
    wakeup.wake_workers_on_commit()
    return row


def remember(contract: Contract, link: ProjectLink, participant: Participant, cause: str) -> None:
    """This trainer may have access to this project: have a row for it, so that it can be removed."""
    if may_grant(link):
        grant(contract, link, participant, cause)


def may_grant(link: ProjectLink) -> bool:
    """Whether access through this link is, or was, given by us and not by OpenTrain."""
    return link.provisioning_mode != ProjectLink.ProvisioningMode.MANAGED_ADAPTER


def is_revivable(row: AccessGrant) -> bool:
    """Whether the grant is one of ``REVIVABLE``."""
    return row.desired == AccessGrant.Desired.REVOKED and row.cause.startswith(INSTALL_CAUSE)


def revoke(grants: AccessGrantQuerySet, cause: str) -> int:
    """These grants should be revoked; returns how many of them were not until now."""
    changed = _desire(grants.unrevoked(), AccessGrant.Desired.REVOKED, cause)
    if changed:
        wakeup.wake_workers_on_commit()
    return changed


def revoke_each(of: str, causes: Mapping[int, str]) -> None:
    """Revoke the grants of each of these contracts or links (``of``, by their keys), for a cause of its own."""
    grants = AccessGrant.objects.unrevoked().filter(**{f"{of}__in": causes})
    if _desire(grants, AccessGrant.Desired.REVOKED, _cause_by(of, causes)):
        wakeup.wake_workers_on_commit()


def revive_each(causes: Mapping[int, str]) -> None:
    """Restore these grants (by their keys), which are revivable, each for a cause of its own."""
    _desire(AccessGrant.objects.filter(pk__in=causes), AccessGrant.Desired.GRANTED, _cause_by("pk", causes))


def _cause_by(column: str, causes: Mapping[int, str]) -> Case:
    each = (When(**{column: key}, then=Value(cause[:_CAUSE_LENGTH])) for key, cause in causes.items())
    return Case(*each, output_field=CharField())


def follow_budgets(grants: AccessGrantQuerySet) -> int:
    """Pause those of these grants whose contract's budget is used up and whose link stops work then; resume others.

    What should be follows from the budget and the link alone, so this can be done at any time. The caller has locked
    the install. Returns how many grants have changed.
    """
    used_up = Exists(
        Contract.objects.filter(pk=OuterRef("contract"), budget_state=Contract.BudgetState.DEPLETED)
    )
    stops = Exists(ProjectLink.objects.filter(pk=OuterRef("link"), stop_when_depleted=True))
    paused = grants.filter(desired=AccessGrant.Desired.PAUSED)
    # The first statement sees none that the second one changes.
    changed = _desire(
        paused.exclude(used_up & stops),
        AccessGrant.Desired.GRANTED,
        "budget: no longer used up, or it stops nothing",
    )
    changed += _desire(
        grants.wanted().filter(used_up & stops), AccessGrant.Desired.PAUSED, "budget: it is used up"
    )
    if changed:
        wakeup.wake_workers_on_commit()
    return changed


@retried
def correct_pauses(install: Install) -> int:
    """What ``follow_budgets`` does, for all of an install's grants: nothing that was missed stays so."""
    own = AccessGrant.objects.filter(contract__install=install)
    stopped = Q(link__stop_when_depleted=True, contract__budget_state=Contract.BudgetState.DEPLETED)
    wanted = Q(desired=AccessGrant.Desired.GRANTED)
    if not own.filter(Q(desired=AccessGrant.Desired.PAUSED) | wanted & stopped).exists():
        return 0  # so it is nearly always
    with install_lock(install):
        return follow_budgets(own)


@retried
def restore(row: AccessGrant, cause: str) -> None:
    """An operator restores access.

    Raises ``OperationRefused`` if contract, connection or link has ended, ``BusyError`` if another install took over.
    """
    with install_lock(row.contract.install):
        fresh = AccessGrant.objects.select_related("contract__install", "link").get(pk=row.pk)
        if fresh.contract.status == Contract.Status.ENDED:
            raise OperationRefused(_("The contract has ended: access can't be restored."))
        if not fresh.contract.install.is_live:
            raise OperationRefused(_("The customer is no longer connected: access can't be restored."))
        if not fresh.link.grants_access:
            raise OperationRefused(_("The project is no longer linked: access can't be restored."))
        restored = AccessGrant.objects.filter(pk=row.pk)
        _desire(restored, AccessGrant.Desired.GRANTED, cause)
        follow_budgets(restored)
    wakeup.wake_workers_on_commit()


def retry_now(grants: AccessGrantQuerySet) -> int:
    """Make the next attempt of these grants due at once; returns how many are not in their desired state."""
    changed = grants.unsettled().update(next_attempt_at=None, updated_at=timezone.now())
    wakeup.wake_workers_on_commit()
    return changed


def give_again(grants: AccessGrantQuerySet) -> int:
    """Give access again to trainers whom a person has removed on the host; returns how many there were."""
    changed = grants.removed_by_hand().update(
        state=AccessGrant.State.PENDING,
        attempts=0,
        # So that an attempt that is under way, and asks the host, doesn't overwrite it.
        attempt_began_at=None,
        next_attempt_at=None,
        updated_at=timezone.now(),
    )
    wakeup.wake_workers_on_commit()
    return changed


def email_arrived(*participants: Participant) -> None:
    """Trainers' Work Emails are new or have changed: grant access with them, except to who was removed by hand."""
    wanted = AccessGrant.objects.filter(participant__in=participants).wanted()
    wanted.exclude(state=AccessGrant.State.REMOVED_BY_HAND).update(
        state=AccessGrant.State.PENDING, attempts=0, next_attempt_at=None, updated_at=timezone.now()
    )
    wakeup.wake_workers_on_commit()


def details_changed(*participants: Participant) -> None:
    """What OpenTrain says of trainers has changed: the next reconciliation gives it to the host."""
    given = AccessGrant.objects.filter(participant__in=participants).wanted()
    given.filter(state=AccessGrant.State.GRANTED, next_attempt_at=None).update(
        next_attempt_at=timezone.now(), updated_at=timezone.now()
    )


def email_accepted(participant: Participant) -> None:
    """A trainer's Work Email, which was held, gives access."""
    held = AccessGrant.objects.filter(participant=participant, state=AccessGrant.State.HELD)
    held.update(state=AccessGrant.State.PENDING, attempts=0, next_attempt_at=None, updated_at=timezone.now())
    wakeup.wake_workers_on_commit()


def _desire(grants: AccessGrantQuerySet, desired: str, cause: str | Case) -> int:
    now = timezone.now()
    # Even a state that seems right is converged again: a worker may have been killed while it changed the host.
    uncertain = When(state=desired, then=Value(AccessGrant.State.PENDING))
    return grants.exclude(desired=desired).update(
        desired=desired,
        state=Case(uncertain, default=F("state")),
        cause=cause[:_CAUSE_LENGTH] if isinstance(cause, str) else cause,
        desired_at=now,
        attempts=0,
        attempt_began_at=None,
        next_attempt_at=None,
        **NO_REASON.columns("last_error"),
        updated_at=now,
    )
