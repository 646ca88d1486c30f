"""Contracts, their trainers, and the work done."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from django_opentrain.adapters import get_adapter
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.web.decorators import customer_page, owned
from django_opentrain.web.notices import notice
from django_opentrain.web.presenters.alerts import ATTENTION, contracts_in_need

PER_PAGE: Final = 25
DAYS_PER_PAGE: Final = 31
#: Days that the summary of usage covers.
SUMMARY_DAYS: Final = 30


def with_trainers(contracts: ContractQuerySet) -> ContractQuerySet:
    """With everything that is shown of a contract, in a fixed number of queries."""
    grants = AccessGrant.objects.select_related("participant", "link__install").order_by("pk")
    return contracts.select_related("trainer", "install").prefetch_related(Prefetch("grants", grants))


@customer_page("GET")
def index(request: HttpRequest, tenant: str) -> HttpResponse:
    """All contracts, newest first; ``?status=active``, ``ended`` or ``attention`` filters them."""
    rows = Contract.objects.filter(install__tenant=tenant).order_by("-pk")
    status = request.GET.get("status", "")
    if status in Contract.Status.values:
        rows = rows.filter(status=status)
    elif status == ATTENTION:
        rows = rows.filter(contracts_in_need())
    else:
        status = ""
    page = Paginator(with_trainers(rows), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "opentrain/contracts.html", {"page": page, "status": status})


@customer_page("GET")
def detail(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """One contract: its trainer's access, its budget, and each day's work."""
    contract = owned(with_trainers(Contract.objects.all()), tenant, pk)
    days = contract.usage.order_by("-work_date", "worker_id")
    page = Paginator(days, DAYS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "contract": contract,
        "page": page,
        "notice": notice(request),
        "sends_first_login": get_adapter().sends_first_login,
    }
    return render(request, "opentrain/contract.html", context)


def usage_summary(install: Install) -> dict[str, int]:
    """The last days' totals, and how many entries are due, refused, and in all. One query."""
    since = timezone.now().date() - timedelta(days=SUMMARY_DAYS)
    recent = Q(work_date__gte=since)
    rows = DailyUsage.objects.filter(contract__install=install)
    totals = rows.aggregate(
        seconds=Sum("total_seconds", filter=recent),
        tasks=Sum("tasks_completed", filter=recent),
        labels=Sum("labels_completed", filter=recent),
        due=Count("pk", filter=Q(status=DailyUsage.Status.DUE)),
        refused=Count("pk", filter=Q(status=DailyUsage.Status.REFUSED)),
        entries=Count("pk"),
    )
    return {name: total or 0 for name, total in totals.items()}
