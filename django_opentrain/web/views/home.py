"""The customer's home page: everything about their connection at a glance."""

from __future__ import annotations

from typing import Any, Final

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_opentrain.adapters import Project, get_adapter
from django_opentrain.adapters.tenants import may_view
from django_opentrain.models import Contract, DailyUsage, Install, WebhookEndpoint
from django_opentrain.services.connect import local_url
from django_opentrain.services.usage import today
from django_opentrain.web.customers import customers_of, of_install_parameter
from django_opentrain.web.decorators import customer_page
from django_opentrain.web.forms import LinkForm
from django_opentrain.web.notices import notice
from django_opentrain.web.presenters.alerts import alerts
from django_opentrain.web.presenters.connection import connections, describe, missing_permissions
from django_opentrain.web.presenters.contracts import usage_summary, with_trainers
from django_opentrain.web.presenters.course import DAYS, HOURS, LABELS, TASKS, course
from django_opentrain.web.presenters.projects import project_rows
from django_opentrain.web.views import setup

PROJECTS_PER_PAGE: Final = 20
#: How many rows the page shows of a list that has its own page, or of which it shows the count.
CONTRACTS_SHOWN: Final = 10


@customer_page("GET", whose=of_install_parameter, only_shows=True)
def home(request: HttpRequest, tenant: str) -> HttpResponse:
    """The overview: the connection, projects and their links, active contracts, reported work."""
    return page(request, tenant, request.GET.get("install"))


def page(
    request: HttpRequest, tenant: str, chosen: str | None, form: LinkForm | None = None, status: int = 200
) -> HttpResponse:
    """The page about the chosen connection; with ``form`` if it was submitted and refused."""
    found = connections(tenant, chosen)
    install = found.current
    if form is None and (waiting := setup.page(request, install)):
        return waiting
    projects = list(get_adapter().list_projects(tenant))
    endpoints = list(WebhookEndpoint.objects.live().filter(install=install).order_by("pk")) if install else []
    context: dict[str, Any] = {
        "install": install,
        "found": found,
        "alerts": alerts(request, found, endpoints),
        "state": describe(install),
        "missing_permissions": missing_permissions(install) if install else [],
        "customers": _customers(request, tenant),
        "notice": notice(request),
        "next_url": local_url(request.GET.get("next")),
    }
    if install is not None:
        rows = project_rows(install, projects)
        linkable = [row.project for row in rows if row.project and row.is_linkable]
        context |= {
            "projects": Paginator(rows, PROJECTS_PER_PAGE).get_page(request.GET.get("projects")),
            "any_linked": any(row.link for row in rows),
            "form": form or _link_form(linkable, request.GET.get("project") or install.requested_project_id),
            "linkable": linkable,
            **_contracts([install, *found.others]),
            "usage": usage_summary(install),
            "usage_days": DAYS,
            "course": course(
                DailyUsage.objects.filter(contract__install=install), today(), HOURS, LABELS, TASKS
            ),
            "endpoints": endpoints,
        }
    return render(request, "opentrain/home.html", context, status=status)


def _customers(request: HttpRequest, tenant: str) -> list[dict[str, Any]]:
    """The customers for whom the user can see this page, if there are several."""
    adapter = get_adapter()
    tenants = [each for each in customers_of(request) if each == tenant or may_view(request, each)]
    if len(tenants) < 2:
        return []
    return [
        {"name": adapter.display_customer(each), "tenant": each, "current": each == tenant}
        for each in tenants
    ]


def _link_form(linkable: list[Project], wanted: str) -> LinkForm:
    return LinkForm(linkable, initial={"project": wanted} if any(p.id == wanted for p in linkable) else {})


def _contracts(installs: list[Install]) -> dict[str, Any]:
    """Of all live connections: trainers hired through another one work in the same projects."""
    active = Contract.objects.active().filter(install__in=installs).order_by("-pk")
    return {
        "contracts": list(with_trainers(active)[:CONTRACTS_SHOWN]),
        "contract_count": Contract.objects.filter(install__in=installs).count(),
    }
