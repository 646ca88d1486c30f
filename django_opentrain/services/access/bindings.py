"""Trainers who use an account of the site that they had before, because an operator or their customer consents."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.utils.translation import gettext as _

from django_opentrain.adapters import get_adapter
from django_opentrain.errors import OperationRefused
from django_opentrain.models import AccessGrant
from django_opentrain.platform.redaction import mask
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.services.access import grants, participants

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The account that a trainer could use."""

    #: The site's key of it.
    account_id: str
    #: Its e-mail, masked.
    email: str
    #: Whether this customer may consent; otherwise only an operator.
    may_consent: bool


@without_locals  # the host's: its users are named by their Work Emails
def bind(grant: AccessGrant, by: str) -> None:
    """An operator (``by``) lets the trainer use the account that has their Work Email, and gives access with it.

    For every customer. Raises ``OperationRefused`` where their Work Email gives no access yet, ``AdapterError`` where
    no account may become theirs.
    """
    _require_email(grant)
    adapter = get_adapter()
    adapter.bind_account(grant, adapter.account_to_bind(grant), by=by)
    _bound(grant, by)


@without_locals
def find_candidate(grant: AccessGrant) -> Candidate:
    """The account of which the grant's customer is to say whether it is the trainer's. Raises as ``bind``."""
    _require_waiting(grant)
    adapter = get_adapter()
    user = adapter.account_to_bind(grant)
    return Candidate(
        account_id=str(user.pk),
        email=mask(str(grant.participant.work_email)),
        may_consent=adapter.may_bind(grant.tenant, user),
    )


@without_locals
def bind_for_customer(grant: AccessGrant, user_id: object, account_id: str | None = None) -> None:
    """The grant's customer, by this user of theirs, lets the trainer use that account on the customer's projects.

    For other customers nothing changes. Raises as ``bind``; ``OperationRefused`` also where the adapter's
    ``may_bind`` doesn't let customers consent, and if it is another account by now than ``account_id``.
    """
    _require_waiting(grant)
    adapter = get_adapter()
    user = adapter.account_to_bind(grant)
    if not adapter.may_bind(grant.tenant, user):
        raise OperationRefused(_("Only an administrator of this site can let this trainer use that account."))
    if account_id is not None and account_id != str(user.pk):
        raise OperationRefused(_("Another account has the trainer's Work Email by now. Look at it again."))
    by = f"customer {grant.tenant}, user {user_id}"[:300]
    adapter.bind_account(grant, user, by=by, tenant=grant.tenant)
    _bound(grant, by)


def _require_email(grant: AccessGrant) -> None:
    participant = grant.participant
    wanted = grant.desired == AccessGrant.Desired.GRANTED
    if not (wanted and participants.readable_email(participant) and participants.accepts_email(participant)):
        raise OperationRefused(_("This trainer has no Work Email that gives access."))


def _require_waiting(grant: AccessGrant) -> None:
    if not grant.account_exists:
        raise OperationRefused(_("This trainer's access doesn't wait for an account."))
    _require_email(grant)


def _bound(grant: AccessGrant, by: str) -> None:
    trainer = grant.participant.opentrain_user_id
    logger.info(
        "Trainer %s uses an account that they had before: %s.", trainer, by, extra=grant.contract.log_fields
    )
    grants.retry_now(AccessGrant.objects.filter(participant__opentrain_user_id=trainer).wanted())
