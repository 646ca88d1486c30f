"""For whom a request acts, as the adapter says it, in a form that every database stores and compares exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain import constraints
from django_opentrain.adapters.base import get_adapter
from django_opentrain.errors import AdapterError
from django_opentrain.fields import MAX_ID
from django_opentrain.platform.values import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest

_UNUSABLE: Final = gettext_lazy(
    "This site identifies your organization by a value that can't be stored. Ask this site's administrators:"
    " the adapter's get_tenant must return a text, and get_tenants a list of texts, of at most %(limit)d characters,"
    " without NUL characters and surrogates."
)


def tenant_of(request: HttpRequest) -> str | None:
    """The customer for whom this request's user acts; None when there is none, also where the adapter says "".

    Raises ``AdapterError`` for what no database, or not every one, can store: it would be cut, or fail.
    """
    return _storable(get_adapter().get_tenant(request))


def tenants_of(request: HttpRequest) -> tuple[str, ...]:
    """All customers for whom this request's user may act, the current one first. Raises as ``tenant_of`` does."""
    others = get_adapter().get_tenants(request)
    if isinstance(others, (str, bytes)):
        # Its letters could be other customers'.
        raise AdapterError(_UNUSABLE % {"limit": MAX_ID})
    tenants = tenant_of(request), *map(_storable, others)
    return tuple(dict.fromkeys(each for each in tenants if each is not None))


def may_view(request: HttpRequest, tenant: str) -> bool:
    """Whether this request's user may see what there is of this customer: who manages it may."""
    adapter = get_adapter()
    return adapter.can_manage(request, tenant) or adapter.can_view(request, tenant)


def refusal_of(request: HttpRequest) -> str:
    """Why this site's policy doesn't admit this request of a user who is logged in; "" if it does."""
    try:
        get_adapter().check_request(request)
    except PermissionDenied as refusal:
        return str(refusal) or _("This site doesn't admit your request.")
    return ""


def tenant_of_project(tenants: Iterable[str], external_project_id: str) -> str | None:
    """The first of these customers whose project this is; None if it is no project of theirs."""
    adapter = get_adapter()
    owners = (each for each in tenants if adapter.get_project(each, external_project_id) is not None)
    return next(owners, None)


def site_of(tenant: str) -> str:
    """The URL of this customer's own host, without a slash at its end; "" where there is one for all.

    Raises ``AdapterError`` for what is no such URL.
    """
    url = get_adapter().customer_url(tenant)
    if not url:
        return ""
    if not constraints.PUBLIC_URL.holds(url):
        raise AdapterError(
            _(
                "This site's adapter doesn't know your organization's own address. Ask this site's administrators:"
                ' customer_url must return a URL such as https://acme.example.com, or "".'
            )
        )
    return url.rstrip("/")


def _storable(tenant: object) -> str | None:
    if tenant is None or tenant == "":
        return None
    storable = as_text(tenant, MAX_ID)
    if storable != tenant:
        raise AdapterError(_UNUSABLE % {"limit": MAX_ID})
    return storable
