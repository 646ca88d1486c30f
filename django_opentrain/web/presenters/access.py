"""The status of a trainer's access, in words for the customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.explanations import reason_for_customers
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.models.access import link_expires_at
from django_opentrain.web.presenters.status import Status, moment

State, Invitation = AccessGrant.State, TrainerAccount.Invitation


def describe(grant: AccessGrant) -> Status:
    """What is, what should be, and what happens next."""
    if grant.is_removed_by_hand:
        return _removed_by_hand(grant)
    if grant.is_settled:
        return _settled(grant)
    if grant.state == State.FAILED:
        return Status(
            tone="bad",
            title=_failure(grant),
            text=reason_for_customers(grant, "last_error"),
            advice=_next_attempt(grant.next_attempt_at),
        )
    if grant.desired != AccessGrant.Desired.GRANTED:
        removal = grant.desired == AccessGrant.Desired.REVOKED
        return Status(
            tone="wait", title=_("Access is being revoked") if removal else _("Access is being paused")
        )
    if grant.state == State.WAITING_FOR_EMAIL:
        return Status(
            tone="warn",
            title=_("Waiting for a Work Email"),
            text=reason_for_customers(grant, "last_error"),
            advice=_next_attempt(grant.next_attempt_at),
        )
    if grant.state == State.HELD:
        return Status(
            tone="warn",
            title=_("The Work Email has to be checked"),
            text=reason_for_customers(grant, "last_error"),
        )
    return Status(tone="wait", title=_("Access is being granted"))


def _failure(grant: AccessGrant) -> str:
    if grant.desired == AccessGrant.Desired.REVOKED:
        return _("Access could not be revoked")
    if grant.desired == AccessGrant.Desired.PAUSED:
        return _("Access could not be paused")
    return _("Access could not be granted")


def describe_login(grant: AccessGrant) -> Status | None:
    """How far the first login is of a trainer who has access; None where no mail is sent for it."""
    if grant.state != State.GRANTED or grant.desired != State.GRANTED:
        return None
    return _LOGINS[grant.invitation](grant) if grant.invitation else None


def _login_pending(_grant: AccessGrant) -> Status:
    return Status(tone="wait", title=_("The login link is being sent"))


def _login_failed(grant: AccessGrant) -> Status:
    return Status(
        tone="bad",
        title=_("The login link could not be sent"),
        text=reason_for_customers(grant, "invitation_error"),
        advice=_next_attempt(grant.next_invitation_at),
    )


def _login_sent(grant: AccessGrant) -> Status:
    until = link_expires_at(grant.invitation_sent_at)
    if until and until <= timezone.now():
        return Status(tone="warn", title=_("The login link expired unused"))
    sent = moment(grant.invitation_sent_at) if grant.invitation_sent_at else ""
    return Status(
        tone="wait", title=_("Has not logged in yet"), text=_("link sent %(time)s") % {"time": sent}
    )


def _logged_in(_grant: AccessGrant) -> Status:
    return Status(tone="ok", title=_("Has logged in"))


_LOGINS: Final[Mapping[str, Callable[[AccessGrant], Status]]] = {
    Invitation.PENDING: _login_pending,
    Invitation.FAILED: _login_failed,
    Invitation.SENT: _login_sent,
    Invitation.LOGGED_IN: _logged_in,
}


def _removed_by_hand(grant: AccessGrant) -> Status:
    return Status(
        tone="warn",
        title=_("Removed by hand"),
        text=_("A person has removed this trainer on %(site)s, which was noticed at %(time)s.")
        % {"site": urlsplit(conf.public_url).netloc, "time": moment(grant.revoked_at or grant.updated_at)},
        advice=_("The contract goes on. The trainer stays out until you give access again."),
    )


def _settled(grant: AccessGrant) -> Status:
    if grant.state == State.GRANTED:
        return Status(tone="ok", title=_("Has access"), text=_since(grant.granted_at))
    if grant.state == State.PAUSED:
        return Status(
            tone="warn",
            title=_("Paused: the budget is used up"),
            text=_since(grant.revoked_at),
            advice=_("Access is given back automatically when the contract is funded again."),
        )
    return Status(tone="off", title=_("Access ended"), text=_since(grant.revoked_at))


def _since(at: datetime | None) -> str:
    return _("since %(time)s") % {"time": moment(at)} if at else ""


def _next_attempt(at: datetime | None) -> str:
    if at is None or at <= timezone.now():
        return _("It is being retried now.")
    return _("Next attempt: %(time)s") % {"time": moment(at)}
