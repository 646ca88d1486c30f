"""The link for a trainer's first login, sent once more."""

from __future__ import annotations

from django.utils.translation import gettext as _

from django_opentrain.adapters import get_adapter
from django_opentrain.errors import AdapterError, OperationRefused
from django_opentrain.models import AccessGrant


def can_resend(grant: AccessGrant) -> bool:
    """Whether this site sends such links, and the grant's trainer has something to log in for."""
    return get_adapter().sends_first_login and grant.state == AccessGrant.State.GRANTED


def resend(grant: AccessGrant) -> None:
    """Send it again.

    Raises ``OperationRefused`` where there is none to send, ``AdapterError`` when it doesn't go out.
    """
    if not can_resend(grant):
        raise OperationRefused(_("There is no link for a first login to send."))
    if not get_adapter().resend_first_login(grant):
        raise AdapterError(
            _("The mail could not be sent. Try again later, or ask this site's administrators.")
        )
