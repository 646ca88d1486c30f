"""Template tags for a host's own pages: ``{% load opentrain %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.utils.safestring import SafeString

from django_opentrain.adapters import AdapterError, get_adapter
from django_opentrain.adapters.tenants import tenant_of_project, tenants_of
from django_opentrain.conf import CUSTOMER_PAGES, TIMER, TRAINER_PAGES
from django_opentrain.models import Contract, ProjectLink
from django_opentrain.web.parts import is_open
from django_opentrain.web.presenters import budgets
from django_opentrain.web.presenters.connection import describe
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
        tenant = _tenant_of(request, str(project_id))
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


def _tenant_of(request: HttpRequest, project_id: str) -> str | None:
    """Whose project it is, of the user's customers."""
    tenants = tenants_of(request)
    if len(tenants) < 2:
        return next(iter(tenants), None)
    links = ProjectLink.objects.live().filter(install__tenant__in=tenants, external_project_id=project_id)
    linked = set(links.values_list("install__tenant", flat=True))
    tenant = next((each for each in tenants if each in linked), None)
    return tenant or tenant_of_project(tenants, project_id)


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


@register.simple_tag
def opentrain_timer(project_id: object) -> SafeString:
    """The timer, which measures the trainer's active time in this project: for the page on which they work.

    For others it does nothing. Put it anywhere in the page.
    """
    return script_tag(str(project_id)) if is_open(TIMER) else SafeString("")
