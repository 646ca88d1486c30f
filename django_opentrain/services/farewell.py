"""The last things after a customer has disconnected here: nobody's hours are lost with the token."""

from __future__ import annotations

import logging

from django.utils import timezone

from django_opentrain.crypto import UndecryptableError
from django_opentrain.models import DailyUsage, Install
from django_opentrain.models.installs import InstallQuerySet
from django_opentrain.platform.errors import Forbidden, OpenTrainError, Unauthorized
from django_opentrain.platform.redaction import describe
from django_opentrain.services import endpoints, reporting, usage
from django_opentrain.services.access import backoff
from django_opentrain.services.locks import BusyError, lease

logger = logging.getLogger(__name__)

#: Tries (over about a day) after which a customer's token is forgotten although something is left.
MAX_ATTEMPTS = 30


def finish(install: Install) -> None:
    """Report what is left, remove the endpoints, forget the token. Raises ``BusyError`` or ``OpenTrainError``."""
    with lease(install.pk) as held:
        if held is None:
            raise BusyError
        install.refresh_from_db()
        if install.status != Install.Status.DISCONNECTED:
            return  # the customer came back
        try:
            reporting.report_install(install, held)
            endpoints.remove_all(install)
        except (OpenTrainError, UndecryptableError) as error:
            if not _is_final(error) and install.reconcile_attempts < MAX_ATTEMPTS:
                _postpone(install)
                raise
            logger.error("Install %s ends with work undone: %s", install.opentrain_id, describe(error))
        else:
            if _owed(install) and install.reconcile_attempts < MAX_ATTEMPTS:
                _postpone(install)
                return
        _forget_token(install)


def _is_final(error: Exception) -> bool:
    """Whether the token is of no use any more, so that there is nothing to wait for."""
    return isinstance(error, (Unauthorized, Forbidden)) and error.from_opentrain


def _owed(install: Install) -> int:
    """Days of usage that OpenTrain doesn't have."""
    return DailyUsage.objects.filter(contract__install=install).due(usage.today()).count()


def _postpone(install: Install) -> None:
    attempts = install.reconcile_attempts + 1
    _leaving(install).update(
        reconcile_attempts=attempts, next_reconcile_at=timezone.now() + backoff(attempts)
    )


def _forget_token(install: Install) -> None:
    if owed := _owed(install):
        logger.error("Install %s ends with %d days of usage unreported.", install.opentrain_id, owed)
    _leaving(install).update(token=None, next_reconcile_at=None, reconcile_attempts=0)


def _leaving(install: Install) -> InstallQuerySet:
    """The install, unless its customer came back meanwhile."""
    return Install.objects.filter(pk=install.pk, status=Install.Status.DISCONNECTED)
