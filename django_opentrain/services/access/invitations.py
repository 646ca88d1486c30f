"""The mail with the link for a trainer's first login: retried until the mail server has accepted it.

Each account has its status. No transaction is open during the call to the mail server, and the attempt is recorded
before: one that ends its process, or hangs, backs off like one that fails, and delays no other trainer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AbstractUser
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.adapters import first_login, get_adapter
from django_opentrain.errors import BusyError, MailError, MailServerError, OperationRefused, ServiceError
from django_opentrain.explanations import INTERNAL_ERROR
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.platform.redaction import describe, redact
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.services.workers.retries import backoff, claim_attempt
from django_opentrain.time_limits import soft_time_limit

logger = logging.getLogger(__name__)

Invitation = TrainerAccount.Invitation

#: Mails of one customer that are sent before each_due() queries again.
BATCH_PER_CUSTOMER: Final = 20
#: How many links a trainer who never logs in is sent automatically.
MAX_LINKS: Final = 5


def send_due() -> int:
    """Send every mail that is due; returns how many were tried."""
    total = 0
    while tried := sum(each_due()):
        total += tried
    return total


def each_due() -> Iterator[bool]:
    """Send the mails that are due now, the customers in turn, and yield after each whether it was tried.

    If the mail server can't be reached, all due mails are postponed.
    """
    adapter = get_adapter()
    if not adapter.sends_first_login:
        return
    _note_logins()
    for pk in _due_in_turn():
        accounts = TrainerAccount.objects.invitation_due(timezone.now()).select_related("user")
        account = accounts.filter(pk=pk).first()
        if account is None or not _claim(account):
            yield False
            continue
        error = _send(account, adapter.invite)
        if isinstance(error, MailServerError):
            _postpone_others(error, timezone.now() + backoff(account.invitation_attempts))
            yield True
            return
        yield True


# On request -------------------------------------------------------------------------------------


def can_resend(grant: AccessGrant) -> bool:
    """Whether this site sends such links, and the grant's trainer has access."""
    return get_adapter().sends_first_login and grant.state == AccessGrant.State.GRANTED


def resend(grant: AccessGrant) -> None:
    """Send it now, whatever was sent before.

    Raises ``OperationRefused`` if there is none to send, ``AdapterError`` if it could not be sent: then it is retried
    automatically.
    """
    if not can_resend(grant):
        raise OperationRefused(_("There is no link for a first login to send."))
    account = _made_account(grant)
    if account is None:
        error = _outcome(lambda: get_adapter().resend_first_login(grant))
    else:
        first_login.request(account)
        if not _claim(account):
            raise BusyError
        error = _send(account, lambda _user: get_adapter().resend_first_login(grant))
    if isinstance(error, ServiceError):
        raise error
    if error is not None:
        # A host's own exception, whose text is for its operators.
        raise MailError from error


def _made_account(grant: AccessGrant) -> TrainerAccount | None:
    """The account that was created for the grant's trainer; None if theirs was adopted, or they have none here."""
    accounts = TrainerAccount.objects.filter(created_by_us=True).select_related("user")
    return accounts.filter(opentrain_user_id=grant.participant.opentrain_user_id).first()


# One attempt ------------------------------------------------------------------------------------


def _claim(account: TrainerAccount) -> bool:
    return claim_attempt(
        account,
        attempts="invitation_attempts",
        next_at="next_invitation_at",
        invitation_error_code=MailError.code,
        invitation_error=_("The last attempt did not finish: its process ended."),
    )


def _send(account: TrainerAccount, send: Callable[[AbstractUser], bool]) -> Exception | None:
    """Make the claimed attempt and record its outcome; returns the error, if there was one."""
    error = _outcome(lambda: send(account.user))
    if error is None:
        _record(account, **_sent(account))
    else:
        _record(account, **_failed(account, error))
        logger.error(
            "The first-login mail for account %s was not sent: %s [mail-failing]",
            account.user_id,
            describe(error),
        )
    return error


def _outcome(send: Callable[[], bool]) -> Exception | None:
    try:
        return None if without_locals(send)() else MailError()
    except soft_time_limit():
        raise  # claimed as one that may not finish
    except Exception as error:  # noqa: BLE001 - host code: whatever it raises, it is retried
        return error


def _sent(account: TrainerAccount) -> dict[str, Any]:
    now, count = timezone.now(), account.invitation_count + 1
    # With a password they can sign in even if the link has expired.
    is_last = count >= MAX_LINKS or account.user.has_usable_password()
    return {
        "invitation": Invitation.SENT,
        "invitation_sent_at": now,
        "invitation_count": count,
        "invitation_attempts": 0,
        "next_invitation_at": None if is_last else now + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT),
        "invitation_error_code": "",
        "invitation_error": "",
    }


def _failed(account: TrainerAccount, error: Exception) -> dict[str, Any]:
    expected = isinstance(error, ServiceError)
    return {
        "invitation": Invitation.FAILED,
        "next_invitation_at": timezone.now() + backoff(account.invitation_attempts),
        "invitation_error_code": error.code if isinstance(error, ServiceError) else INTERNAL_ERROR,
        "invitation_error": redact(str(error)) if expected else describe(error),
    }


def _record(account: TrainerAccount, **changes: Any) -> None:
    """Unless the invitation was restarted or cancelled since: then another mail is due, or none."""
    TrainerAccount.objects.invited().filter(
        pk=account.pk,
        invitation_requested_at=account.invitation_requested_at,
        invitation_attempts=account.invitation_attempts,
    ).update(**changes)


def _postpone_others(error: MailServerError, until: datetime) -> None:
    others = TrainerAccount.objects.invitation_due(timezone.now())
    others.update(
        invitation=Invitation.FAILED,
        invitation_attempts=F("invitation_attempts") + 1,
        next_invitation_at=until,
        invitation_error_code=error.code,
        invitation_error=redact(str(error)),
    )


# Which are due ----------------------------------------------------------------------------------


def _note_logins() -> None:
    """Trainers who have logged in since the mail was requested, or chosen a password since, need no other mail."""
    invited = TrainerAccount.objects.invited()
    sent = Q(invitation_sent_at=None) | Q(invitation_sent_at__gte=F("invitation_requested_at"))
    logged_in = sent & ~Q(user__password__startswith=UNUSABLE_PASSWORD_PREFIX)
    # A user model may lack this field.
    if any(field.name == "last_login" for field in get_user_model()._meta.get_fields()):
        logged_in |= Q(user__last_login__gte=F("invitation_requested_at"))
    invited.filter(logged_in).update(invitation=Invitation.LOGGED_IN, next_invitation_at=None)


def _due_in_turn() -> list[int]:
    """The accounts whose mail is due, the customers in turn."""
    due = TrainerAccount.objects.invitation_due(timezone.now()).order_by("invitation_attempts", "pk")
    granted = AccessGrant.objects.wanted().filter(state=AccessGrant.State.GRANTED)
    waiting = granted.filter(participant__opentrain_user_id__in=due.order_by().values("opentrain_user_id"))
    tenants = list(waiting.order_by().values_list("contract__install__tenant", flat=True).distinct())
    batches = []
    for tenant in tenants:
        trainers = granted.filter(contract__install__tenant=tenant).values("participant__opentrain_user_id")
        due_of_tenant = due.filter(opentrain_user_id__in=trainers)
        batches.append(list(due_of_tenant.values_list("pk", flat=True)[:BATCH_PER_CUSTOMER]))
    turns = chain.from_iterable(zip_longest(*batches))
    # A trainer may work for several customers.
    return list(dict.fromkeys(pk for pk in turns if pk is not None))
