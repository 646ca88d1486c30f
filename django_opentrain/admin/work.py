"""The work ledger: read here, and never written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_opentrain.admin.base import OpenTrainAdmin
from django_opentrain.admin.columns import short_column
from django_opentrain.admin.customers import customer_column


class SinceFilter(admin.SimpleListFilter):
    """Entries of the last days, by the index on their time."""

    title = _("time")
    parameter_name = "since"
    DAYS: Final = {"1": _("last day"), "7": _("last 7 days"), "31": _("last 31 days")}

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        return list(self.DAYS.items())

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value not in self.DAYS:
            return queryset
        return queryset.filter(at__gte=timezone.now() - timedelta(days=int(value)))


class WorkEntryAdmin(OpenTrainAdmin):
    """Each action of each trainer, the newest first. What of its time counts is on the contract's page."""

    list_display = (
        "at",
        "kind",
        "duration",
        "tasks",
        "labels",
        "trainer",
        "project",
        "object_cut",
        "customer",
    )
    list_filter = (SinceFilter,)
    # Exact: each has an index.
    search_fields: ClassVar[tuple[str, ...]] = (
        "opentrain_user_id__exact",
        "object_id__exact",
        "task_id__exact",
        "key__exact",
    )
    search_help_text = _("An OpenTrain user id, or an object or a task of the host, in full")
    ordering = ("-at", "-pk")
    sortable_by = ("at", "trainer")
    trainer = short_column("opentrain_user_id", _("trainer"))
    project = short_column("external_project_id", _("project id"))
    object_cut = short_column("object_id", _("object"))
    tenant_path = "tenant"
    customer = customer_column(tenant_path)
    fields = (
        "opentrain_user_id",
        "customer",
        "external_project_id",
        "object_id",
        "task_id",
        "kind",
        "at",
        "duration",
        "tasks",
        "labels",
        "reason",
        "corrected_by",
        "access_since",
        "observed_at",
        "key",
    )
