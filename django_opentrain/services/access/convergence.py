"""Convergence: the one step that makes desired access true.

It is idempotent and retried until it succeeds, so the order of events, repeats and crashes can't matter. No
transaction is open while the host's code runs: the attempt is claimed and counted, then made, then its outcome is
recorded. So an attempt that ends its process has been recorded before.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import OperationalError
from django.db.models import Case, Exists, IntegerField, OuterRef, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.conflicts import CHANGED, retried
from django_opentrain.errors import OperationRefused
from django_opentrain.explanations import Reason
from django_opentrain.models import AccessGrant, Contract, Participant
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.services.access import attempts
from django_opentrain.services.access.attempts import Outcome
from django_opentrain.services.workers import failures, locks
from django_opentrain.services.workers.retries import backoff
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import atomic

logger = logging.getLogger(__name__)

#: Grants of one customer that are tried before the next customer's turn.
BATCH_PER_CUSTOMER: Final = 20
#: In which order what is due is tried; last what ended a process.
_STAGES: Final = (
    When(~Q(desired=AccessGrant.Desired.GRANTED), attempt_began_at=None, then=Value(0)),
    When(attempt_began_at=None, then=Value(1)),
)
#: States in which the trainer has no access through the grant any more.
_CLOSED: Final = (AccessGrant.State.REVOKED, AccessGrant.State.PAUSED, AccessGrant.State.REMOVED_BY_HAND)
_SIGNALS: Final = {
    AccessGrant.State.GRANTED: signals.access_granted,
    AccessGrant.State.PAUSED: signals.access_paused,
    AccessGrant.State.REVOKED: signals.access_revoked,
    AccessGrant.State.WAITING_FOR_EMAIL: signals.work_email_missing,
}


def converge(grant: AccessGrant, *, reassert: bool = False) -> AccessGrant:
    """Make the desired state true, if it isn't yet, and return the refreshed grant.

    Of one trainer's grants at one customer, one is attempted at a time, so that each sees the outcome of the others;
    while another worker has one of them, nothing is done. With ``reassert`` the adapter is called even if the state
    is right already: the host may have been changed by hand. What the adapter raises is not raised here, but stored
    as ``last_error``; the attempt is repeated later.
    """
    _converge(grant, AccessGrant.objects.all() if reassert else AccessGrant.objects.unsettled())
    grant.refresh_from_db()
    return grant


def converge_contract(contract: Contract) -> None:
    """Make the desired state of a contract's grants true, whenever their next attempt would be due.

    Raises ``OperationRefused`` with what went wrong if one of them still isn't in it.
    """
    for grant in AccessGrant.objects.unsettled().filter(contract=contract).order_by("pk"):
        converge(grant)
    rest = AccessGrant.objects.unsettled().filter(contract=contract).select_related("participant", "link")
    problems = [f"{grant}: {grant.last_error or grant.get_state_display()}" for grant in rest.order_by("pk")]
    if problems:
        raise OperationRefused("; ".join(problems))


def converge_due() -> int:
    """Converge every grant that is due; returns how many were tried."""
    total = 0
    while tried := sum(each_due()):
        total += tried
    return total


def each_due() -> Iterator[bool]:
    """Converge the grants that are due now, the customers in turn: removals first, last those that ended a process.

    Yields after each whether it was tried: another worker may have been faster.
    """
    stage = Case(*_STAGES, default=Value(len(_STAGES)), output_field=IntegerField())
    due = AccessGrant.objects.due(timezone.now()).annotate(stage=stage)
    customers = due.order_by().values_list("stage", "contract__install").distinct()
    for number, install_id in sorted(customers):
        rows = due.filter(stage=number, contract__install=install_id)
        rows = rows.select_related("participant", "contract__install").order_by("attempts", "pk")
        for row in rows[:BATCH_PER_CUSTOMER]:
            yield _try(row)


def _try(row: AccessGrant) -> bool:
    try:
        return _converge(row, AccessGrant.objects.due(timezone.now()))
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, no other grant may wait for it
        failures.log_failure(logger, f"Converging access grant {row.pk} of", row.contract.install, error)
        return False


def _converge(grant: AccessGrant, rows: AccessGrantQuerySet) -> bool:
    """Make one attempt, if the grant is among ``rows`` and its trainer isn't leased; returns whether it was made."""
    claim = _claim(grant, rows)
    if claim is None:
        return False
    try:
        outcome = attempts.removed_by_hand(claim.grant)
    except BaseException as error:
        _record(claim, attempts.undecided(claim.grant, error))
        raise
    try:
        outcome = outcome or attempts.perform(claim.grant)
    except BaseException as error:
        # The process is about to end, or there is a bug of ours: the trainer is released in any case.
        _record(claim, attempts.failed(claim.grant, error))
        raise
    _record(claim, outcome)
    return True


# Claiming an attempt --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to make one attempt: until it is recorded, no other worker calls the host for this trainer."""

    #: As it was when it was claimed; ``attempts`` includes this one.
    grant: AccessGrant
    began_at: datetime
    lease: uuid.UUID


@retried
def _claim(grant: AccessGrant, rows: AccessGrantQuerySet) -> Claim | None:
    """Count an attempt and take the trainer's lease, in one short transaction.

    Two installs can have linked one project: a removal through one and a grant through the other concern the same
    access. So the lease is on the trainer's rows of all the customer's installs.
    """
    keys = _same_trainer(grant)
    with atomic():
        # The first read, so that the next ones see everything that was committed before the locks (REPEATABLE READ).
        trainers = locks.lock_all(Participant.objects.filter(pk__in=keys))
        now = timezone.now()
        if any(each.leased_until and each.leased_until > now for each in trainers):
            return None
        row = (
            rows.filter(pk=grant.pk)
            .select_related("participant", "contract__install", "link__install")
            .first()
        )
        if row is None:
            return None
        claim = Claim(grant=row, began_at=now, lease=uuid.uuid4())
        Participant.objects.filter(pk__in=keys).update(lease=claim.lease, leased_until=now + locks.CALL_LEASE)
        _count(claim)
    return claim


def _same_trainer(grant: AccessGrant) -> list[int]:
    same = Participant.objects.filter(
        opentrain_user_id=grant.participant.opentrain_user_id, install__tenant=grant.contract.install.tenant
    )
    return list(same.values_list("pk", flat=True))


def _count(claim: Claim) -> None:
    """Record the attempt before it is made, so that one that ends its process backs off like any failure.

    Raises a conflict, so that all is repeated, if something else was decided since the row was read.
    """
    row = claim.grant
    unfinished = row.attempt_began_at is not None and row.state != AccessGrant.State.REMOVED_BY_HAND
    changes: dict[str, Any] = {}
    if unfinished:
        changes = {
            "state": AccessGrant.State.FAILED,
            **Reason.note(_("The last attempt did not finish: its process ended.")).columns("last_error"),
        }
    row.attempts += 1
    if row.desired == AccessGrant.Desired.GRANTED and not row.opened_project_id:
        changes["opened_project_id"] = row.opened_project_id = row.external_project_id
    as_read = {"desired": row.desired, "state": row.state, "updated_at": row.updated_at}
    counted = AccessGrant.objects.filter(pk=row.pk, **as_read).update(
        attempts=row.attempts,
        attempt_began_at=claim.began_at,
        next_attempt_at=claim.began_at + max(locks.CALL_LEASE, backoff(row.attempts)),
        **changes,
    )
    if not counted:
        raise OperationalError(CHANGED)
    if unfinished:
        logger.error(
            "Access grant %s: attempt %d did not finish, its process ended.",
            row.pk,
            row.attempts - 1,
            extra=row.contract.log_fields,
        )


# Recording its outcome ------------------------------------------------------------------------


@retried
def _record(claim: Claim, outcome: Outcome) -> None:
    row, now = claim.grant, timezone.now()
    actual: dict[str, Any] = {"state": outcome.state, "host_user_ref": outcome.host_user_ref}
    if (outcome.state, outcome.host_user_ref) != (row.state, row.host_user_ref) or outcome.reason.text:
        actual["updated_at"] = now
    if outcome.state == AccessGrant.State.GRANTED:
        actual["granted_at"] = row.granted_at if row.granted_at and not row.revoked_at else now
        actual["revoked_at"] = None
    elif outcome.state in _CLOSED:
        actual["revoked_at"] = row.revoked_at or now
    schedule = {
        "attempts": outcome.attempts,
        "attempt_began_at": None,
        "next_attempt_at": outcome.next_attempt_at,
        **outcome.reason.columns("last_error"),
    }
    # If the Work Email has changed during the call, the host was given the old one.
    same_email = Participant.objects.filter(
        pk=OuterRef("participant"), email_changed_at=row.participant.email_changed_at
    )
    with atomic():
        # First, so that processes that record changes of this trainer wait until this is committed.
        released = Participant.objects.filter(lease=claim.lease).update(lease=None, leased_until=None)
        unchanged = AccessGrant.objects.filter(
            pk=row.pk, desired=row.desired, attempt_began_at=claim.began_at
        )
        if not released or not unchanged.filter(Exists(same_email)).update(**actual, **schedule):
            _record_late(claim, actual, released=bool(released))
        _announce(row, outcome)


def _record_late(claim: Claim, actual: dict[str, Any], *, released: bool) -> None:
    """The grant has changed during the call: the actual state is saved, and the next attempt is due at once.

    A worker that lost its lease may have called the host at the same time as another one, in either order: the state
    of none of this trainer's grants is certain.
    """
    row = claim.grant
    rows = AccessGrant.objects.filter(pk=row.pk)
    if actual["state"] == AccessGrant.State.REMOVED_BY_HAND:
        # What was decided since is newer, such as to give access again.
        actual["state"] = AccessGrant.State.GRANTED
    rows.update(**actual)
    # It has finished, whatever it came to.
    rows.filter(attempt_began_at=claim.began_at).update(attempt_began_at=None)
    uncertain = rows if released else AccessGrant.objects.filter(participant=row.participant_id)
    for desired in AccessGrant.Desired.values:
        uncertain.filter(desired=desired, state=desired).update(
            state=AccessGrant.State.PENDING, next_attempt_at=None, attempt_began_at=None
        )
    logger.warning(
        "Access grant %s changed during its attempt; it will be retried.",
        row.pk,
        extra=row.contract.log_fields,
    )


def _announce(row: AccessGrant, outcome: Outcome) -> None:
    # Not ``row``: after a conflict its state is compared with the outcome once more.
    grant = AccessGrant.objects.get(pk=row.pk)
    if outcome.state == AccessGrant.State.FAILED:
        signals.send_on_commit(signals.access_failed, AccessGrant, grant=grant, error=outcome.reason.text)
    elif outcome.state != row.state and (signal := _SIGNALS.get(AccessGrant.State(outcome.state))):
        signals.send_on_commit(signal, AccessGrant, grant=grant)
