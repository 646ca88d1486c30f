"""The one-time token: finding its install, storing it, and verifying it later.

Source: OpenTrain's documentation, "Consent". The install id in the return from the consent screen is a hint: only
``GET /installs/current`` proves which install a token belongs to.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Final

from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.clients import build_client
from django_opentrain.conf import conf
from django_opentrain.conflicts import retried
from django_opentrain.crypto import SecretStr
from django_opentrain.errors import ReconnectRequired, TokenRefused, UndecryptableError
from django_opentrain.models import Install
from django_opentrain.models.installs import pause_after
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import Forbidden, NotFound, OpenTrainError, RateLimited, Unauthorized
from django_opentrain.platform.pasted import unwrapped
from django_opentrain.platform.resources import InstallInfo
from django_opentrain.services.connect import organizations, reconnect
from django_opentrain.services.workers import retries
from django_opentrain.services.workers.locks import install_lock, lock_all
from django_opentrain.transactions import atomic, durable, refuse_transaction

logger = logging.getLogger(__name__)

MAX_TOKEN: Final = 512

_TOKEN = re.compile(rf"{catalog.TOKEN_PREFIX}[!-~]+")


def capture_token(install: Install, token: str) -> Install:
    """Store the pasted token, once OpenTrain has confirmed whose it is.

    Returns the install that the token belongs to: ``install``, or the one of the same tenant that had it before.
    Subscribing to webhooks and reconciling are queued. Raises ``TokenRefused`` with a message for the customer, or
    ``OpenTrainError`` if OpenTrain can't be reached: the same token can be pasted again.
    """
    token = _clean_token(token)  # replaces the plain text: an error report shows local variables
    refuse_transaction("connect.capture_token")
    _respect_pause(install)
    try:
        info = _fetch_install_for_token(token)
    except OpenTrainError as error:
        if error.asks_for_pause:
            _remember_pause(install, timezone.now() + pause_after(error))
        raise
    _check_ownership(install, info)
    predecessors = organizations.find_predecessors(install.tenant, info, token)
    try:
        return _store(install, info, token, predecessors)
    except IntegrityError:
        raise TokenRefused(_("This connection is being set up already. Reload the page.")) from None


def _respect_pause(install: Install) -> None:
    """Raises ``RateLimited`` while the customer's last attempt is paused: another call would only prolong that."""
    now = timezone.now()
    waiting = Install.objects.filter(
        tenant=install.tenant, status=Install.Status.PENDING, paused_until__gt=now
    ).first()
    if waiting is not None and waiting.paused_until is not None:
        raise RateLimited(
            _("OpenTrain is limiting the calls for this customer."),
            status=429,
            code=RateLimited.code,
            retry_after=(waiting.paused_until - now).total_seconds(),
        )


def _remember_pause(install: Install, until: datetime) -> None:
    install.paused_until = until
    if install.pk is None:
        install.save()
    else:
        # Not save(): another tab may have stored a token since the row was loaded.
        Install.objects.filter(pk=install.pk).pause_until(until)


def _clean_token(pasted: str) -> SecretStr:
    token = SecretStr(unwrapped(pasted[: 2 * MAX_TOKEN]))
    if token.startswith(catalog.PERSONAL_TOKEN_PREFIX):
        raise TokenRefused(
            _(
                "This is a personal access token (%(personal)s…), which acts for your account. Here the token of this"
                " connection is needed, which OpenTrain shows when you approve it: it begins with %(prefix)s."
            )
            % {"personal": catalog.PERSONAL_TOKEN_PREFIX, "prefix": catalog.TOKEN_PREFIX}
        )
    if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise TokenRefused(
            _("That is not an OpenTrain token: it begins with %(prefix)s. Copy all of it.")
            % {"prefix": catalog.TOKEN_PREFIX}
        )
    return token


def _fetch_install_for_token(token: str) -> InstallInfo:
    try:
        return build_client(token).get_install()
    except (Unauthorized, NotFound, Forbidden) as error:
        if not error.from_opentrain:
            raise  # a proxy's: the token may be valid
        if isinstance(error, Forbidden):
            raise TokenRefused(_("OpenTrain is refusing this token: %(error)s") % {"error": error}) from None
        text = _("OpenTrain doesn't accept this token. Copy all of it, or connect again to get a new one.")
        raise TokenRefused(f"{text} ({error.request_id})" if error.request_id else text) from None


def _check_ownership(install: Install, info: InstallInfo) -> None:
    if info.app.slug != conf.app_slug:
        raise TokenRefused(_("This token was made for another app. Connect again from here."))
    if info.status != catalog.INSTALL_ACTIVE:
        raise TokenRefused(_("This connection is not active on OpenTrain. Connect again."))
    if install.expected_id and install.expected_id != info.id:
        raise TokenRefused(
            _("This token belongs to another connection than the one you just approved. Copy the new token.")
        )
    if Install.objects.filter(opentrain_id=info.id).exclude(tenant=install.tenant).exists():
        raise TokenRefused(_("This OpenTrain connection belongs to another customer of this site."))


@retried
def _store(install: Install, info: InstallInfo, token: str, predecessors: frozenset[int]) -> Install:
    with atomic():
        return _connect(install, info, token, predecessors)


def _connect(install: Install, info: InstallInfo, token: str, predecessors: frozenset[int]) -> Install:
    install = _row_for(install, info)
    install.opentrain_id = info.id
    install.token = token
    install.token_hint = token[-4:]
    install.status = Install.Status.ACTIVE
    install.revoked_at = None
    install.superseded_by = None
    _remember(install, info)
    install.save()
    reconnect.from_predecessors(install, since=info.created_at, proven=predecessors)
    retries.request_reconcile(install)
    signals.send_on_commit(signals.install_connected, Install, install=install)
    return install


def _row_for(waiting: Install, info: InstallInfo) -> Install:
    """The row of the install that a token belongs to: by its id, or the one that waits for it, or a new one.

    ``waiting`` was loaded before the call: another tab may have been faster, with another token.
    """
    rows = lock_all(Install.objects.filter(tenant=waiting.tenant))
    existing = next((row for row in rows if row.opentrain_id == info.id), None)
    unused = next((row for row in rows if row == waiting and row.status == Install.Status.PENDING), None)
    if existing is not None and unused is not None:
        unused.delete()
    return existing or unused or _another(waiting)


def _another(waiting: Install) -> Install:
    return Install(
        tenant=waiting.tenant,
        app_slug=waiting.app_slug,
        connected_by_id=waiting.connected_by_id,
        requested_project_id=waiting.requested_project_id,
    )


def _remember(install: Install, info: InstallInfo) -> None:
    install.scopes = list(info.scopes)
    install.pii_consent = info.pii_consent
    install.organization_id = info.organization_id or install.organization_id
    install.app_slug = info.app.slug or install.app_slug
    install.verified_at = timezone.now()
    install.last_error = ""
    install.last_error_code = ""
    install.refused_at = None


def missing_scopes(install: Install) -> tuple[str, ...]:
    """The scopes that this site asks for and the customer has not granted."""
    return tuple(scope for scope in conf.scopes if not install.has_scope(scope))


def require_own_token(install: Install, info: InstallInfo) -> None:
    """Raises ``UndecryptableError`` if ``info``, asked for with the install's token, is of another install."""
    if info.id != install.opentrain_id:
        logger.error(
            "Install %s has the token of %s: it is not used.",
            install.opentrain_id,
            info.id,
            extra=install.log_fields,
        )
        raise UndecryptableError(_("The stored token is another connection's: connect again."))


@durable
def verify(install: Install) -> Install:
    """Ask OpenTrain for the install's status, whatever is stored; if accepted, it becomes active again.

    Raises ``OpenTrainError`` if OpenTrain refuses or can't be reached, ``UndecryptableError`` for a lost key or
    another install's token, ``ReconnectRequired`` without a token, ``BusyError`` if another install has taken over
    during the call.
    """
    if not install.token:
        raise ReconnectRequired(_("There is no token any more: connect again."))
    try:
        info = build_client(install.token).get_install()
    except (Unauthorized, Forbidden) as error:
        Install.objects.filter(pk=install.pk).record_refusal(error)
        raise
    require_own_token(install, info)
    _note_accepted(install, info)
    return install


@retried
def _note_accepted(install: Install, info: InstallInfo) -> None:
    with install_lock(install):
        install.refresh_from_db()
        if install.is_live:  # otherwise it ended during the call
            was_refused = install.status == Install.Status.UNAUTHORIZED or install.refused_at is not None
            _remember(install, info)
            install.status = Install.Status.ACTIVE
            install.save()
            if was_refused:
                retries.request_reconcile(install)
