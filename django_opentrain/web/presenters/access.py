"""The status of a trainer's access, in words for the customer."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.explanations import reason_for_customers
from django_opentrain.models import AccessGrant
from django_opentrain.web.presenters.status import Status, moment

State = AccessGrant.State


def describe(grant: AccessGrant) -> Status:
    """What is, what should be, and what happens next."""
    if grant.state == grant.desired:
        return _settled(grant)
    removal = grant.desired == AccessGrant.Desired.REVOKED
    if grant.state == State.FAILED:
        return Status(
            tone="bad",
            title=_("Access could not be revoked") if removal else _("Access could not be granted"),
            text=reason_for_customers(grant, "last_error"),
            advice=_next_attempt(grant),
        )
    if removal:
        return Status(tone="wait", title=_("Access is being revoked"))
    if grant.state == State.WAITING_FOR_EMAIL:
        return Status(
            tone="warn",
            title=_("Waiting for a Work Email"),
            text=reason_for_customers(grant, "last_error"),
            advice=_next_attempt(grant),
        )
    return Status(tone="wait", title=_("Access is being granted"))


def _settled(grant: AccessGrant) -> Status:
    if grant.state == State.GRANTED:
        return Status(tone="ok", title=_("Has access"), text=_since(grant.granted_at))
    return Status(tone="off", title=_("Access ended"), text=_since(grant.revoked_at))


def _since(at: datetime | None) -> str:
    return _("since %(time)s") % {"time": moment(at)} if at else ""


def _next_attempt(grant: AccessGrant) -> str:
    at = grant.next_attempt_at
    if at is None or at <= timezone.now():
        return _("It is being retried now.")
    return _("Next attempt: %(time)s") % {"time": moment(at)}
