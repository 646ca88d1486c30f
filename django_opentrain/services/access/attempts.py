"""One attempt at the host: grant, pause or revoke access, and return the outcome.

Called with the trainer's lease held and no transaction open; doesn't write the grant itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.adapters import get_adapter
from django_opentrain.adapters.base import exact_text
from django_opentrain.conf import conf
from django_opentrain.conflicts import is_conflict
from django_opentrain.errors import EXPECTED, AdapterError
from django_opentrain.explanations import NO_REASON, Reason
from django_opentrain.models import AccessGrant, Contract, ProjectLink
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.platform.redaction import describe
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.platform.values import as_id
from django_opentrain.services.access import participants
from django_opentrain.services.workers.retries import backoff, next_attempt
from django_opentrain.time_limits import soft_time_limit

logger = logging.getLogger(__name__)

State = AccessGrant.State

#: Minutes between requests for a missing Work Email; then hourly.
EMAIL_RETRY_MINUTES: Final = (1, 5, 30, 120)
LATER_EMAIL_RETRY_MINUTES: Final = 60
#: By what is desired: the condition of those for whom it keeps failing.
RUNBOOKS: Final[Mapping[str, str]] = {
    AccessGrant.Desired.GRANTED: "grant-failing",
    AccessGrant.Desired.PAUSED: "pause-failing",
    AccessGrant.Desired.REVOKED: "removal-failing",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of an attempt: the grant's columns to save."""

    state: str
    host_user_ref: str
    #: 0 once it has succeeded.
    attempts: int = 0
    next_attempt_at: datetime | None = None
    reason: Reason = NO_REASON


@without_locals  # the host's: its users are named by their Work Emails
def perform(grant: AccessGrant) -> Outcome:
    """Make the desired state true. ``grant.attempts`` includes this attempt."""
    if grant.desired != AccessGrant.Desired.GRANTED:
        return _call(grant, _revoke)
    reason = NO_REASON
    if not participants.readable_email(grant.participant):
        # Not at the first attempt: an event can arrive before the Work Email exists.
        if grant.state == State.WAITING_FOR_EMAIL:
            try:
                reason = _fetch_email(grant)
            except OpenTrainError as error:
                return _wait_for_pause(grant, error)
            grant.participant.refresh_from_db()
        if not participants.readable_email(grant.participant):
            return _wait_for_email(grant, reason)
    # What was granted stays granted: an operator may narrow the setting later.
    if grant.state != State.GRANTED and not participants.accepts_email(grant.participant):
        return _hold(grant)
    return _call(grant, _grant)


@without_locals
def removed_by_hand(grant: AccessGrant) -> Outcome | None:
    """The outcome that leaves a removal by hand as it is; None when there is none to be seen."""
    if not _may_be_removed_by_hand(grant):
        return None
    known = grant.state == State.REMOVED_BY_HAND
    try:
        has_access = get_adapter().has_access(grant)
        removed = has_access is not None and not has_access and (known or _is_customers(grant))
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - host code: while it can't say, a removal must not be undone
        return undecided(grant, error)
    if removed or (known and has_access is None):
        return Outcome(state=State.REMOVED_BY_HAND, host_user_ref=grant.host_user_ref)
    return None


def _may_be_removed_by_hand(grant: AccessGrant) -> bool:
    """Whether a person can have removed the trainer: access was given, and nothing of ours can have ended it since.

    An attempt that ended its process may have ended it.
    """
    if grant.desired == AccessGrant.Desired.REVOKED:
        return False
    if grant.state == State.REMOVED_BY_HAND:
        return True
    if grant.attempt_began_at is not None:
        return False
    if grant.state == State.GRANTED:
        return grant.desired == AccessGrant.Desired.GRANTED or not _closes_with_others(grant)
    # A new Work Email makes access that was given due again. If it was desired anew, that is the newer decision.
    given, changed = grant.granted_at, grant.participant.email_changed_at
    if grant.state != State.PENDING or given is None or changed is None or grant.revoked_at is not None:
        return False
    return (grant.desired_at or given) <= given <= changed


def _closes_with_others(grant: AccessGrant) -> bool:
    """Whether the end of another grant of this trainer's can have closed the access of this one, which is paused.

    With the last of them that is wanted the project is closed, or on some hosts all of the customer's.
    """
    others = AccessGrant.objects.of_trainer(grant).filter(link__install__tenant=grant.tenant)
    return others.exclude(desired=AccessGrant.Desired.GRANTED).exists()


def undecided(grant: AccessGrant, error: BaseException) -> Outcome:
    """The outcome of asking the host whether access was removed by hand, where it didn't answer: nothing changes."""
    logger.warning(
        "Access grant %s: has_access failed: %s", grant.pk, describe(error), extra=grant.contract.log_fields
    )
    waits = not grant.is_settled
    return Outcome(
        state=grant.state,
        host_user_ref=grant.host_user_ref,
        attempts=grant.attempts if waits else 0,
        next_attempt_at=timezone.now() + backoff(grant.attempts) if waits else None,
        reason=Reason.of(error),
    )


def failed(grant: AccessGrant, error: BaseException) -> Outcome:
    """The outcome of an attempt that ended with this error; the next one follows with backoff."""
    outcome = Outcome(
        state=State.FAILED,
        host_user_ref=grant.host_user_ref,
        attempts=grant.attempts,
        next_attempt_at=timezone.now() + backoff(grant.attempts),
        reason=Reason.of(error),
    )
    urgent = grant.desired != AccessGrant.Desired.GRANTED and not is_conflict(error)
    level = logging.ERROR if urgent else logging.WARNING
    logger.log(
        level,
        "Access grant %s should be %s, attempt %d failed: %s [%s]",
        grant.pk,
        grant.desired,
        grant.attempts,
        describe(error),
        RUNBOOKS[grant.desired],
        extra=grant.contract.log_fields,
    )
    return outcome


def next_email_request(attempts: int, now: datetime) -> datetime:
    """When to request a Work Email again that was missing this many times."""
    early = attempts < len(EMAIL_RETRY_MINUTES)
    return now + timedelta(minutes=EMAIL_RETRY_MINUTES[attempts] if early else LATER_EMAIL_RETRY_MINUTES)


def others_wanted(grant: AccessGrant) -> AccessGrantQuerySet:
    """The other grants that want the same access: a trainer loses a project with the last of them."""
    return AccessGrant.objects.wanted().of_project(grant.tenant, grant.external_project_id).of_trainer(grant)


def _call(grant: AccessGrant, step: Callable[[AccessGrant], Outcome]) -> Outcome:
    try:
        return step(grant)
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - host code: whatever it raises, it is retried until it works
        return failed(grant, error)


def _is_customers(grant: AccessGrant) -> bool:
    return get_adapter().get_project(grant.tenant, grant.external_project_id) is not None


def _grant(grant: AccessGrant) -> Outcome:
    if not _is_customers(grant):
        # A link can be made on OpenTrain, with any project id in it.
        raise AdapterError(
            _("Project %(id)s is not one of this customer's projects.") % {"id": grant.external_project_id}
        )
    key = exact_text(get_adapter().grant_access(grant), "grant_access")
    if as_id(key) != key:
        raise AdapterError(_("The account id that the adapter returned is too long, or can't be stored."))
    return Outcome(state=State.GRANTED, host_user_ref=key)


def _revoke(grant: AccessGrant) -> Outcome:
    if not others_wanted(grant).exists() and not _granted_by_opentrain(grant):
        get_adapter().revoke_access(grant)
        # A pause that is made true once more ends nothing.
        if grant.state != State.PAUSED:
            _log_left_behind(grant)
    return Outcome(state=grant.desired, host_user_ref=grant.host_user_ref)


def _log_left_behind(grant: AccessGrant) -> None:
    """What a person has to look at; the removal has succeeded, whatever becomes of this."""
    if not grant.granted_at:
        return
    try:
        lines = list(get_adapter().left_behind(grant))
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - host code
        lines = [f"not known, left_behind failed: {describe(error)}"]
    if lines:
        logger.warning(
            "Access grant %s has ended. Made on this site while it gave access: %s",
            grant.pk,
            "; ".join(lines),
            extra=grant.contract.log_fields,
        )


def _granted_by_opentrain(grant: AccessGrant) -> bool:
    """Whether OpenTrain itself gives the same access, through a link whose accounts it provisions."""
    links = ProjectLink.objects.active().filter(
        install__tenant=grant.tenant,
        external_project_id=grant.external_project_id,
        provisioning_mode=ProjectLink.ProvisioningMode.MANAGED_ADAPTER,
    )
    trainer = grant.participant.opentrain_user_id
    return Contract.objects.active().filter(links__in=links, trainer__opentrain_user_id=trainer).exists()


def _fetch_email(grant: AccessGrant) -> Reason:
    """Request the Work Email from OpenTrain; returns the reason to show if there is none.

    Raises an ``OpenTrainError`` that asks for a pause.
    """
    if not participants.can_fetch_emails(grant.contract.install):
        return Reason.note(
            _(
                "OpenTrain doesn't share Work Emails with this site: connect again with the PII consent"
                " and participants:email."
            )
        )
    try:
        participants.fetch(grant.contract)
    except EXPECTED as error:
        if isinstance(error, OpenTrainError) and error.asks_for_pause:
            raise
        return Reason.of(error)
    return Reason.note(_("OpenTrain has no Work Email for this trainer yet."))


def _wait_for_email(grant: AccessGrant, reason: Reason) -> Outcome:
    return Outcome(
        state=State.WAITING_FOR_EMAIL,
        host_user_ref=grant.host_user_ref,
        attempts=grant.attempts,
        next_attempt_at=next_email_request(grant.attempts - 1, timezone.now()),
        reason=reason,
    )


def _hold(grant: AccessGrant) -> Outcome:
    text = _("The Work Email is not at %(domains)s: an administrator of this site has to accept it.")
    return Outcome(
        state=State.HELD,
        host_user_ref=grant.host_user_ref,
        attempts=grant.attempts,
        # Costs no call, and finds what was changed in the settings.
        next_attempt_at=timezone.now() + timedelta(minutes=LATER_EMAIL_RETRY_MINUTES),
        reason=Reason.note(text % {"domains": ", ".join(conf.work_email_domains)}),
    )


def _wait_for_pause(grant: AccessGrant, error: OpenTrainError) -> Outcome:
    """OpenTrain didn't answer, so the attempt doesn't count."""
    attempts, again = next_attempt(grant.attempts, error)
    return Outcome(
        state=State.WAITING_FOR_EMAIL,
        host_user_ref=grant.host_user_ref,
        attempts=attempts,
        next_attempt_at=again,
        reason=Reason.of(error),
    )
