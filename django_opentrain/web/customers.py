"""For which customer a page acts, where its user may act for several: what the page is about says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import BigIntegerField, Model, QuerySet
from django.http import Http404, HttpRequest

from django_opentrain.adapters import get_adapter
from django_opentrain.adapters.tenants import may_view, tenants_of
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    ProjectLink,
    UsageObjection,
    WebhookEndpoint,
)

#: Names the customer on pages that are about no single object.
PARAMETER: Final = "customer"
#: The look-ups that lead to the tenant of what pages are about.
TENANTS: Final[Mapping[type[Model], str]] = {
    Install: "tenant",
    ProjectLink: "install__tenant",
    WebhookEndpoint: "install__tenant",
    Contract: "install__tenant",
    AccessGrant: "contract__install__tenant",
    UsageObjection: "contract__install__tenant",
}
_ALL: Final = "opentrain_customers"
_OTHER: Final = "opentrain_other_customer"
_MANAGES: Final = "opentrain_manages"

#: From a request and its view's arguments to the tenant of what the page is about; None if it doesn't exist.
Whose = Callable[..., str | None]


def of(model: type[Model]) -> Whose:
    """The tenant of the row whose key is in the path."""

    def whose(_request: HttpRequest, *, pk: int, **_others: Any) -> str | None:
        return _tenant(model._default_manager.all(), pk)

    return whose


def of_install_parameter(request: HttpRequest) -> str | None:
    """The tenant of the connection whose key is in the query string."""
    key = request.GET.get("install", "")
    usable = key.isascii() and key.isdecimal() and len(key) < 20
    return _tenant(Install.objects.all(), int(key)) if usable else None


def _tenant(rows: QuerySet[Any], pk: int) -> str | None:
    if pk > BigIntegerField.MAX_BIGINT:
        return None
    tenant: str | None = rows.filter(pk=pk).values_list(TENANTS[rows.model], flat=True).first()
    return tenant


def customer_of(request: HttpRequest, whose: Whose | None, **arguments: Any) -> str | None:
    """The tenant for whom this page acts, among those of its user; None if they have none.

    Raises ``Http404`` for a customer that is named and isn't one of theirs, and ``AdapterError``.
    """
    tenants = request.__dict__[_ALL] = tenants_of(request)
    if len(tenants) < 2:
        return tenants[0] if tenants else None
    tenant = whose(request, **arguments) if whose is not None else None
    if tenant not in tenants:
        tenant = request.POST.get(PARAMETER) or request.GET.get(PARAMETER) or _first(request, tenants)
    if tenant not in tenants:
        raise Http404
    if tenant != tenants[0]:
        request.__dict__[_OTHER] = tenant
    return tenant


def customers_of(request: HttpRequest) -> tuple[str, ...]:
    """All tenants of the user of a customer's page, as it asked for them: hosts may look them up."""
    tenants: tuple[str, ...] = request.__dict__[_ALL]
    return tenants


def _first(request: HttpRequest, tenants: tuple[str, ...]) -> str:
    """The current customer, or the first one of whom the user may see anything."""
    return next((each for each in tenants if may_view(request, each)), tenants[0])


def ask_whether_manager(request: HttpRequest, tenant: str) -> bool:
    """Whether the user of this page manages its customer; the page's buttons depend on the answer."""
    answer = request.__dict__[_MANAGES] = get_adapter().can_manage(request, tenant)
    return answer


def manages(request: HttpRequest) -> bool:
    """Whether the user of this page was found to manage its customer: else they may only look."""
    return bool(request.__dict__.get(_MANAGES))


def parameters(request: HttpRequest) -> dict[str, str]:
    """What a link to another page needs so that it acts for the same customer: nothing for the current one."""
    other = request.__dict__.get(_OTHER)
    return {PARAMETER: other} if other else {}


def with_customer(request: HttpRequest, url: str, **query: object) -> str:
    """The URL with these parameters, for the same customer. What is empty is left out."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    pairs = given | parameters(request)
    return f"{url}?{urlencode(pairs)}" if pairs else url
