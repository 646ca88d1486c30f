"""What is shown of contracts and their usage, in a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Prefetch, Q, Sum

from django_opentrain.models import AccessGrant, DailyUsage, Install
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.services.usage import today
from django_opentrain.web.presenters.course import DAYS


def with_trainers(contracts: ContractQuerySet) -> ContractQuerySet:
    """With everything that is shown of a contract, in a fixed number of queries."""
    grants = (
        AccessGrant.objects.with_invitation().select_related("participant", "link__install").order_by("pk")
    )
    return contracts.select_related("trainer", "install").prefetch_related(Prefetch("grants", grants))


def usage_summary(install: Install) -> dict[str, int]:
    """The last days' totals, and how many entries are due, and in all. One query."""
    since = today() - timedelta(days=DAYS - 1)
    recent = Q(work_date__gte=since)
    rows = DailyUsage.objects.filter(contract__install=install)
    totals = rows.aggregate(
        seconds=Sum("total_seconds", filter=recent),
        withheld=Sum("total_seconds", filter=recent & Q(hours_withheld=True)),
        tasks=Sum("tasks_completed", filter=recent),
        labels=Sum("labels_completed", filter=recent),
        due=Count("pk", filter=Q(status=DailyUsage.Status.DUE)),
        entries=Count("pk"),
    )
    return {name: total or 0 for name, total in totals.items()}
