"""Offboarding after a customer has disconnected here: the last usage is reported before the token is deleted."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.utils import timezone

from django_opentrain import signals
from django_opentrain.conflicts import retried
from django_opentrain.errors import BusyError, UndecryptableError
from django_opentrain.models import AccessGrant, DailyUsage, Install
from django_opentrain.models.installs import InstallQuerySet
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.platform.redaction import describe
from django_opentrain.services import endpoints
from django_opentrain.services.access import grants
from django_opentrain.services.usage import runs, totals
from django_opentrain.services.workers import retries, wakeup
from django_opentrain.services.workers.locks import lease, reread
from django_opentrain.services.workers.retries import next_attempt
from django_opentrain.transactions import atomic

logger = logging.getLogger(__name__)

#: A customer's token is deleted although something is left to do after this many attempts, and this long after they
#: have disconnected. Pauses that OpenTrain asks for count as well: it may ask for them forever.
MAX_ATTEMPTS: Final = 30
GIVE_UP_AFTER: Final = timedelta(days=1)


@retried
def disconnect(install: Install) -> Install:
    """The customer leaves: access ends now; the workers do the rest.

    They report the last usage and remove the webhook endpoints; then the token is deleted. The customer has to
    remove the connection itself on OpenTrain: the API has no call for it. Raises ``BusyError`` for a connection that
    was deleted in the meantime.
    """
    with atomic():
        live = Install.objects.filter(pk=install.pk, status__in=Install.LIVE)
        if live.update(status=Install.Status.DISCONNECTED, revoked_at=timezone.now(), removals_held=0):
            given = AccessGrant.objects.filter(contract__install=install)
            grants.revoke(given, f"{grants.INSTALL_CAUSE} disconnected")
            retries.request_reconcile(install)
            signals.send_on_commit(signals.install_revoked, Install, install=install)
    reread(install)
    wakeup.wake_workers_on_commit()
    return install


def finish(install: Install) -> None:
    """Report what is left, remove the endpoints, delete the token. Raises ``BusyError`` or ``OpenTrainError``."""
    with lease(install.pk) as held:
        if held is None:
            raise BusyError
        install.refresh_from_db()
        if install.status != Install.Status.DISCONNECTED:
            return  # the customer has reconnected
        try:
            runs.report_install(install, held)
            endpoints.remove_all(install)
        except (OpenTrainError, UndecryptableError) as error:
            if not _gives_up(install):
                _postpone(install, error)
                raise
            logger.error(
                "Install %s ends with work undone: %s",
                install.opentrain_id,
                describe(error),
                extra=install.log_fields,
            )
        else:
            if _unreported(install) and not _gives_up(install):
                _postpone(install, None)
                return
        _delete_token(install)


def _gives_up(install: Install) -> bool:
    waited = install.revoked_at is None or install.revoked_at <= timezone.now() - GIVE_UP_AFTER
    return waited and install.reconcile_attempts >= MAX_ATTEMPTS


def _unreported(install: Install) -> int:
    """Days of usage that OpenTrain doesn't have."""
    return DailyUsage.objects.filter(contract__install=install).unreported(totals.today()).count()


def _postpone(install: Install, error: Exception | None) -> None:
    """Retry later, even after a refusal: the app may be deactivated for an hour only."""
    attempts = install.reconcile_attempts + 1
    _counted, again = next_attempt(attempts, error)
    _leaving(install).update(reconcile_attempts=attempts, next_reconcile_at=again)


def _delete_token(install: Install) -> None:
    if days := _unreported(install):
        logger.error(
            "Install %s ends with %d days of usage unreported.",
            install.opentrain_id,
            days,
            extra=install.log_fields,
        )
    _leaving(install).update(token=None, next_reconcile_at=None, reconcile_attempts=0)


def _leaving(install: Install) -> InstallQuerySet:
    """The install, unless its customer has reconnected since."""
    return Install.objects.filter(pk=install.pk, status=Install.Status.DISCONNECTED)
