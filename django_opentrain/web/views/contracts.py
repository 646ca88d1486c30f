"""Contracts, their trainers, and the work done."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_opentrain.adapters import get_adapter
from django_opentrain.models import Contract, DailyUsage, Install, UsageObjection
from django_opentrain.services import usage
from django_opentrain.web.customers import of, parameters
from django_opentrain.web.decorators import customer_page, owned
from django_opentrain.web.notices import notice
from django_opentrain.web.presenters.alerts import (
    ATTENTION,
    FOR_CUSTOMERS,
    contracts_in_need,
    place_of,
)
from django_opentrain.web.presenters.contracts import with_trainers
from django_opentrain.web.presenters.work import Names, day_lines, objection_lines
from django_opentrain.web.views.days import course_of, objections_to

PER_PAGE: Final = 25
DAYS_PER_PAGE: Final = 31
OBJECTIONS_SHOWN: Final = 20
REFUSALS_SHOWN: Final = 20


@customer_page("GET", only_shows=True)
def index(request: HttpRequest, tenant: str) -> HttpResponse:
    """All contracts, newest first.

    ``?status=active``, ``ended``, ``attention`` or the name of a condition filters them.
    """
    # Their keys, so that a database knows that they have few of all contracts.
    installs = list(Install.objects.filter(tenant=tenant).values_list("pk", flat=True))
    rows = Contract.objects.filter(install__in=installs).order_by("-pk")
    status = request.GET.get("status", "")
    attention = status == ATTENTION or status in FOR_CUSTOMERS
    if status in Contract.Status.values:
        rows = rows.filter(status=status)
    elif attention:
        rows = rows.filter(contracts_in_need(installs, status))
    else:
        status = ""
    page = Paginator(with_trainers(rows), PER_PAGE).get_page(request.GET.get("page"))
    kept = urlencode({"status": status, **parameters(request)} if status else parameters(request))
    context = {
        "page": page,
        "status": status,
        "attention": attention,
        "place": place_of(status),
        "keep": f"{kept}&" if kept else "",
    }
    return render(request, "opentrain/contracts.html", context)


@customer_page("GET", whose=of(Contract), only_shows=True)
def detail(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """One contract: its trainer's access, its budget, and each day's work."""
    contract = owned(with_trainers(Contract.objects.all()), tenant, pk)
    days = contract.usage.order_by("-work_date", "worker_id")
    page = Paginator(days, DAYS_PER_PAGE).get_page(request.GET.get("page"))
    objections = objections_to(contract, [row.work_date for row in page])
    open_ones = UsageObjection.objects.open().filter(contract=contract).order_by("work_date", "pk")
    refused = days.filter(status=DailyUsage.Status.REFUSED, retry_at=None)
    context = {
        "contract": contract,
        "page": page,
        "refused": day_lines(refused[:REFUSALS_SHOWN], Names(contract)),
        "days": day_lines(page.object_list, Names(contract), objections),
        "course": course_of(contract, days, list(page)),
        "objections": objection_lines(open_ones[:OBJECTIONS_SHOWN], Names(contract)),
        "notice": notice(request),
        "hours_elsewhere": usage.tracked_elsewhere(Contract.objects.filter(pk=contract.pk)).exists(),
        "hours_unmeasured": usage.unmeasured(Contract.objects.filter(pk=contract.pk)).exists(),
        "sends_first_login": get_adapter().sends_first_login,
    }
    return render(request, "opentrain/contract.html", context)
