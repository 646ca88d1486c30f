"""Connecting a customer: the way to OpenTrain's consent screen, the way back, and the token.

Source: OpenTrain's documentation, "Consent". The token is shown once, on OpenTrain's own screen, and pasted here:
it never travels in a redirect. What the return does say is a hint: only ``GET /installs/current`` proves it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.adapters import get_adapter
from django_opentrain.clients import refusal_columns, unobserved_client
from django_opentrain.conf import conf
from django_opentrain.crypto import SecretStr
from django_opentrain.models import AccessGrant, ConsentRequest, Install
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import Forbidden, NotFound, Unauthorized
from django_opentrain.platform.resources import InstallInfo
from django_opentrain.platform.values import as_id
from django_opentrain.services import dispatch, grants, schedule, takeover
from django_opentrain.services.locks import lock_all, one_at_a_time

CONSENT_LIFETIME: Final = timedelta(hours=1)
MAX_TOKEN: Final = 512
MAX_NEXT_URL: Final = 2048
_TOKEN = re.compile(rf"{catalog.TOKEN_PREFIX}[!-~]+")


class ConnectError(ValueError):
    """What was asked for can't be connected; the message says what to do."""


class StateError(ConnectError):
    """A return from the consent screen that doesn't belong to a request of this user's."""


class TokenRefused(ConnectError):  # noqa: N818 - says the condition
    """The pasted text is not a token that can be used here; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Return:
    """A customer's return from the consent screen."""

    #: Waiting for its token; None when the customer declined.
    install: Install | None
    external_project_id: str
    next_url: str


# The way there and back -----------------------------------------------------------------------


def begin(request: HttpRequest, external_project_id: str | None = None, next_url: str | None = None) -> str:
    """The URL of OpenTrain's consent screen, to which the customer is to be sent.

    Raises ``PermissionDenied`` when the user may not connect, ``ConnectError`` for a project that isn't the
    tenant's. ``next_url`` (on this site) is where the customer goes after all is done.
    """
    adapter, user = get_adapter(), request.user
    tenant = adapter.get_tenant(request)
    if user.pk is None or tenant is None or not adapter.can_manage(request, tenant):
        raise PermissionDenied
    if external_project_id and adapter.get_project(tenant, external_project_id) is None:
        raise ConnectError(_("That project is not one of yours."))
    state = secrets.token_urlsafe(32)
    ConsentRequest.objects.create(
        state=_digest(state),
        tenant=tenant,
        user_id=user.pk,
        external_project_id=external_project_id or "",
        next_url=local_url(next_url),
        expires_at=timezone.now() + CONSENT_LIFETIME,
    )
    parameters = {"redirect_uri": conf.view_url("callback"), "state": state}
    if external_project_id:
        parameters["external_project_id"] = external_project_id
    return f"{conf.base_url}/integrations/{quote(conf.app_slug, safe='')}/connect?{urlencode(parameters)}"


def complete_return(
    *, user: AbstractBaseUser, tenant: str, state: str, opentrain_install_id: str = ""
) -> Return:
    """Take a return from the consent screen; without an install id the customer declined.

    Raises ``StateError`` for a state that is unknown, expired, used, or another user's or tenant's.
    """
    now = timezone.now()
    mine = ConsentRequest.objects.filter(state=_digest(state), user_id=user.pk, tenant=tenant)
    with transaction.atomic():
        if not mine.filter(used_at=None, expires_at__gt=now).update(used_at=now):
            raise StateError(
                _("This return from OpenTrain was used before or is too old. Please connect again.")
            )
        consent = mine.get()
        install = None
        if expected_id := as_id(opentrain_install_id):
            install = _pending_install(user, tenant, expected_id, consent.external_project_id)
    return Return(install=install, external_project_id=consent.external_project_id, next_url=consent.next_url)


def start_without_return(user: AbstractBaseUser, tenant: str) -> Install:
    """An install to paste a token into, for a customer who connected from OpenTrain's side."""
    return _pending_install(user, tenant, "", "")


def unsaved_install(user: AbstractBaseUser, tenant: str) -> Install:
    """The same for whoever has the token already: ``capture_token`` saves it, unless it refuses the token."""
    return Install(tenant=tenant, connected_by_id=user.pk, app_slug=conf.app_slug)


def _pending_install(user: AbstractBaseUser, tenant: str, expected_id: str, project_id: str) -> Install:
    waiting = Install.objects.filter(tenant=tenant, status=Install.Status.PENDING, expected_id=expected_id)
    if install := waiting.first():
        return install
    install = unsaved_install(user, tenant)
    install.expected_id, install.requested_project_id = expected_id, project_id
    install.save()
    return install


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()


def local_url(url: str | None) -> str:
    """A URL on this site, as it is; anything else becomes ""."""
    host = urlsplit(conf.public_url).netloc
    fits = url and len(url) <= MAX_NEXT_URL and url.isprintable()
    return url if url and fits and url_has_allowed_host_and_scheme(url, {host}) else ""


# The token ------------------------------------------------------------------------------------


def capture_token(install: Install, token: str) -> Install:
    """Keep the pasted token, once OpenTrain has said whose it is.

    Returns the install that the token belongs to: ``install``, or the one of the same tenant that had it before.
    Subscribing to webhooks and reconciling are queued. Raises ``TokenRefused`` with words for the customer, or
    ``OpenTrainError`` when OpenTrain can't be asked: the same token can be pasted again.
    """
    token = _clean_token(token)  # which replaces the plain text: an error report shows local variables
    info = _whose(token)
    _check_ownership(install, info)
    try:
        with transaction.atomic():
            connected = _store(install, info, token)
    except IntegrityError:
        raise TokenRefused(_("This connection is being set up already. Reload the page.")) from None
    return connected


def _clean_token(pasted: str) -> SecretStr:
    token = SecretStr(pasted.strip())
    if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise TokenRefused(
            _("That is not an OpenTrain token: it begins with %(prefix)s. Copy all of it.")
            % {"prefix": catalog.TOKEN_PREFIX}
        )
    return token


def _whose(token: str) -> InstallInfo:
    try:
        return unobserved_client(token).get_install()
    except (Unauthorized, NotFound) as error:
        text = _("OpenTrain doesn't accept this token. Copy all of it, or connect again to get a new one.")
        raise TokenRefused(f"{text} ({error.request_id})" if error.request_id else text) from None
    except Forbidden as error:
        raise TokenRefused(_("OpenTrain refuses this token for now: %(error)s") % {"error": error}) from None


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


def _store(install: Install, info: InstallInfo, token: str) -> Install:
    install = _row_for(install, info)
    install.opentrain_id = info.id
    install.token = token
    install.token_hint = token[-4:]
    install.status = Install.Status.ACTIVE
    install.revoked_at = None
    install.superseded_by = None
    _remember(install, info)
    install.save()
    takeover.from_predecessors(install)
    schedule.request_reconcile(install)
    signals.send_on_commit(signals.install_connected, Install, install=install)
    return install


def _row_for(waiting: Install, info: InstallInfo) -> Install:
    """The row of the install that a token belongs to: known, or the one that waits for it, or a new one.

    ``waiting`` was loaded before OpenTrain was asked: another tab may have been faster, with another token.
    """
    rows = lock_all(Install.objects.filter(tenant=waiting.tenant))
    known = next((row for row in rows if row.opentrain_id == info.id), None)
    unused = next((row for row in rows if row == waiting and row.status == Install.Status.PENDING), None)
    if known is not None and unused is not None:
        unused.delete()
    return known or unused or _another(waiting)


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
    """The scopes that this site asks for and the customer's grant lacks."""
    return tuple(scope for scope in conf.scopes if not install.has_scope(scope))


# Later ----------------------------------------------------------------------------------------


def verify(install: Install) -> Install:
    """Ask OpenTrain how the install stands, whatever we believed; a success heals it.

    Raises ``OpenTrainError`` when OpenTrain refuses or can't be asked, ``UndecryptableError`` for a lost key.
    """
    if not install.token:
        raise ConnectError(_("There is no token any more: reconnect."))
    try:
        info = unobserved_client(install.token).get_install()
    except (Unauthorized, Forbidden) as error:
        mine = Install.objects.filter(pk=install.pk)
        mine.update(**refusal_columns(error))
        if isinstance(error, Unauthorized):
            mine.filter(status=Install.Status.ACTIVE).update(status=Install.Status.UNAUTHORIZED)
        raise
    with one_at_a_time(install):
        install.refresh_from_db()
        if install.is_live:  # or it ended while OpenTrain was being asked
            healed = install.status == Install.Status.UNAUTHORIZED or install.refused_at is not None
            _remember(install, info)
            install.status = Install.Status.ACTIVE
            install.save()
            if healed:
                schedule.request_reconcile(install)
    return install


def disconnect(install: Install) -> Install:
    """The customer leaves: access ends now; what is still owed to OpenTrain is done by the workers.

    That is the last usage and the removal of the webhook endpoints; then the token is forgotten. Ending the grant
    itself is for the customer to do on OpenTrain: the API has no call for it.
    """
    with transaction.atomic():
        live = Install.objects.filter(pk=install.pk, status__in=Install.LIVE)
        if live.update(status=Install.Status.DISCONNECTED, revoked_at=timezone.now()):
            mine = AccessGrant.objects.filter(contract__install=install)
            grants.withdraw(mine, f"{grants.INSTALL_CAUSE} disconnected")
            schedule.request_reconcile(install)
            signals.send_on_commit(signals.install_revoked, Install, install=install)
    install.refresh_from_db()
    dispatch.nudge_on_commit()
    return install
