"""Trainers who use an account of the site that they had before, because an operator consents."""

from __future__ import annotations

from django.utils.translation import gettext as _

from django_opentrain.adapters import get_adapter
from django_opentrain.errors import OperationRefused
from django_opentrain.models import AccessGrant
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.services.access import grants, participants


@without_locals  # the host's: its users are named by their Work Emails
def bind(grant: AccessGrant) -> None:
    """Let the trainer use the account that has their Work Email, and give access with it.

    Raises ``OperationRefused`` where their Work Email gives no access yet, ``AdapterError`` where no account may
    become theirs.
    """
    participant = grant.participant
    wanted = grant.desired == AccessGrant.Desired.GRANTED
    if not (wanted and participants.readable_email(participant) and participants.accepts_email(participant)):
        raise OperationRefused(_("This trainer has no Work Email that gives access."))
    get_adapter().bind_account(grant)
    same = AccessGrant.objects.filter(participant__opentrain_user_id=participant.opentrain_user_id)
    grants.retry_now(same.wanted())
