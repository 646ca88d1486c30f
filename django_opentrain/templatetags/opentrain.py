"""Template tags for a host's own pages: ``{% load opentrain %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.utils.safestring import SafeString

from django_opentrain.adapters import AdapterError, get_adapter
from django_opentrain.adapters.tenants import tenant_of
from django_opentrain.conf import CUSTOMER_PAGES, TIMER, TRAINER_PAGES
from django_opentrain.models import Contract, ProjectLink
from django_opentrain.web.context import project_budget, project_tenant
from django_opentrain.web.parts import is_open
from django_opentrain.web.presenters import budgets
from django_opentrain.web.presenters.connection import connections, describe
from django_opentrain.web.timer import script_tag
from django_opentrain.web.trainers import trainer_of

register = template.Library()


@register.inclusion_tag("opentrain/parts/project_status.html", takes_context=True)
def opentrain_project_status(context: Context, project_id: object) -> dict[str, Any]:
    """A project's OpenTrain status: its link, and the budget of each active contract.

    Shows nothing to visitors who have no tenant or may not view it. Needs the ``request`` context processor. Its
    markup has classes (``opentrain-status…``) and no style: the page is the host's.
    """
    request: HttpRequest = context["request"]
    try:
        tenant = project_tenant(request, str(project_id))
    except AdapterError:
        # The page is the host's: it must not fail because of us. Our own pages say what is wrong.
        return {"show": False}
    manages = tenant is not None and get_adapter().can_manage(request, tenant)
    if tenant is None or not (manages or get_adapter().can_view(request, tenant)):
        return {"show": False}
    found = ProjectLink.objects.live().filter(install__tenant=tenant, external_project_id=str(project_id))
    links = list(found.select_related("install").order_by("-pk"))
    link = links[0] if links else None
    contracts = Contract.objects.active().filter(links__in=links).distinct().select_related("trainer")
    return {
        "show": True,
        "manages": manages,
        "has_pages": is_open(CUSTOMER_PAGES),
        "project_id": project_id,
        "customer": tenant,
        "link": link,
        "state": describe(link.install) if link else None,
        "contracts": [(contract, budgets.describe(contract)) for contract in contracts],
        "here": request.get_full_path(),
        "request": request,
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("opentrain/parts/budget_banner.html", takes_context=True)
def opentrain_budget_banner(context: Context, project_id: object) -> dict[str, Any]:
    """A banner for a project's page while its budget is low or used up: for its trainers, and for its customer.

    Nothing for other users, and while the budget is fine. Needs the ``request`` context processor. Its class is
    ``opentrain-banner``, with ``data-tone`` (``warn``, ``bad``); the style is the page's.
    """
    return {"budget": project_budget(context["request"], project_id)}


@register.inclusion_tag("opentrain/parts/connection_status.html", takes_context=True)
def opentrain_connection(context: Context) -> dict[str, Any]:
    """The status of the user's current customer's connection, with the button to connect, or to connect again.

    Nothing for users who may not view it; the button is for those who manage it, and leads back to this page. Needs
    the ``request`` context processor. Its class is ``opentrain-connection``, with ``data-tone``; the style is the
    page's.
    """
    request: HttpRequest = context["request"]
    try:
        tenant = tenant_of(request) if request.user.is_authenticated else None
    except AdapterError:
        return {"show": False}
    manages = tenant is not None and get_adapter().can_manage(request, tenant)
    if tenant is None or not (manages or get_adapter().can_view(request, tenant)):
        return {"show": False}
    install = connections(tenant).current
    return {
        "show": True,
        "manages": manages,
        "has_pages": is_open(CUSTOMER_PAGES),
        "install": install,
        "state": describe(install),
        "here": request.get_full_path(),
        "request": request,
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("opentrain/parts/my_work.html", takes_context=True)
def opentrain_my_work(context: Context) -> dict[str, Any]:
    """A link to the page on which a trainer sees their own hours; nothing for other users.

    Needs the ``request`` context processor. Its class is ``opentrain-my-work``; the style is the page's.
    """
    request: HttpRequest = context["request"]
    try:
        show = is_open(TRAINER_PAGES) and request.user.is_authenticated
        return {"show": show and trainer_of(request) is not None}
    except AdapterError:
        return {"show": False}


@register.simple_tag(takes_context=True)
def opentrain_timer(context: Context, project_id: object) -> SafeString:
    """The timer, which measures the trainer's active time in this project: for the page on which they work.

    For others it does nothing. Put it anywhere in the page.
    """
    if not is_open(TIMER):
        return SafeString("")
    return script_tag(context.get("request"), str(project_id))
