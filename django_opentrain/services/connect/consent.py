"""Connecting a customer: the way to OpenTrain's consent screen and back.

Source: OpenTrain's documentation, "Consent". The token is shown once, on OpenTrain's own screen, and pasted here:
it is never in a redirect. The install id in the return is a hint: only ``GET /installs/current`` proves it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from django_opentrain.adapters import get_adapter
from django_opentrain.adapters.tenants import site_of, tenant_of_project, tenants_of
from django_opentrain.conf import conf
from django_opentrain.conflicts import retried
from django_opentrain.errors import ConnectError, StateError
from django_opentrain.models import ConsentRequest, Install
from django_opentrain.platform.values import as_id
from django_opentrain.transactions import atomic, durable

CONSENT_LIFETIME: Final = timedelta(hours=1)
MAX_NEXT_URL: Final = 2048


@dataclass(frozen=True, kw_only=True)
class Return:
    """A customer's return from the consent screen."""

    #: Waiting for its token; None when the customer declined.
    install: Install | None
    external_project_id: str
    next_url: str


@durable
def begin(
    request: HttpRequest,
    external_project_id: str | None = None,
    next_url: str | None = None,
    *,
    tenant: str | None = None,
) -> str:
    """The URL of OpenTrain's consent screen, to which to send the customer.

    Raises ``PermissionDenied`` if the user may not connect, ``ConnectError`` for a project that isn't the tenant's,
    and what the adapter raises.

    :param next_url: where the customer goes afterwards, on this site.
    :param tenant: for whom, of a user's several customers; by default the project's, or the current one.
    """
    user = request.user
    if user.pk is None:
        raise PermissionDenied
    tenant = _tenant_for(request, external_project_id, tenant)
    if tenant is None or not get_adapter().can_manage(request, tenant):
        raise PermissionDenied
    _check_path(request)
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


def _tenant_for(request: HttpRequest, project: str | None, tenant: str | None) -> str | None:
    """None if the user acts for no such tenant. Raises ``ConnectError`` for a project that isn't theirs."""
    tenants = tenants_of(request)
    if not tenants or tenant not in (None, *tenants):
        return None
    if not project:
        return tenant or tenants[0]
    owner = tenant_of_project(tenants if tenant is None else [tenant], project)
    if owner is None:
        raise ConnectError(_("That project is not one of yours."), field="external_project_id")
    return owner


def _check_path(request: HttpRequest) -> None:
    """The server may run this site below a path that only it knows: no return and no delivery would arrive."""
    path = request.path.removesuffix(request.path_info).rstrip("/")
    if path not in ("", conf.public_path):
        raise ConnectError(
            _(
                "This site runs below %(path)s, and its PUBLIC_URL doesn't end in that."
                " Ask this site's administrators."
            )
            % {"path": path}
        )


@retried
def complete_return(
    *, user: AbstractBaseUser, tenant: str, state: str, opentrain_install_id: str = ""
) -> Return:
    """Handle a return from the consent screen; without an install id the customer declined.

    Raises ``StateError`` for a state that is unknown, expired, used, or another user's or tenant's.
    """
    now = timezone.now()
    matching = ConsentRequest.objects.filter(state=_digest(state), user_id=user.pk, tenant=tenant)
    with atomic():
        if not matching.filter(used_at=None, expires_at__gt=now).update(used_at=now):
            raise StateError(
                _("This return from OpenTrain was used before, or has expired. Please connect again.")
            )
        consent = matching.get()
        install = None
        if expected_id := as_id(opentrain_install_id):
            install = _pending_install(user, tenant, expected_id, consent.external_project_id)
    return Return(install=install, external_project_id=consent.external_project_id, next_url=consent.next_url)


def tenant_of_return(user: AbstractBaseUser, state: str) -> str | None:
    """The customer for whom this user set out with this state; None for one that is unknown."""
    consents = ConsentRequest.objects.filter(state=_digest(state), user_id=user.pk)
    return consents.values_list("tenant", flat=True).first()


def customers_callback(state: str) -> str:
    """Where the return with this state belongs, if the customer has a host of their own; else "".

    A state only says which way was set out on: whose it is, ``complete_return`` checks there, by the session. Raises
    ``AdapterError``.
    """
    tenant = ConsentRequest.objects.filter(state=_digest(state)).values_list("tenant", flat=True).first()
    site = "" if tenant is None else site_of(tenant)
    return site + conf.view_url("callback").removeprefix(conf.public_url) if site else ""


def start_without_return(user: AbstractBaseUser, tenant: str) -> Install:
    """An install to paste a token into, for a customer who connected from OpenTrain's side."""
    return _pending_install(user, tenant, "", "")


def unsaved_install(user: AbstractBaseUser, tenant: str) -> Install:
    """The same for a customer who already has the token: ``capture_token`` saves it, unless it refuses the token."""
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
    """A URL on this site, unchanged; anything else becomes ""."""
    host = urlsplit(conf.public_url).netloc
    fits = url and len(url) <= MAX_NEXT_URL and url.isprintable()
    return url if url and fits and url_has_allowed_host_and_scheme(url, {host}) else ""
