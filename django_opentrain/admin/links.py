"""Project links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.admin import services
from django_opentrain.admin.access import GrantRows
from django_opentrain.admin.actions import Selection, operation
from django_opentrain.admin.base import AttentionFilter, CustomerFilter, OpenTrainAdmin, as_key
from django_opentrain.admin.columns import (
    Tone,
    badge,
    badge_column,
    column,
    link_column,
    problem_column,
    short_column,
    whole_problem_column,
)
from django_opentrain.admin.customers import customer_column
from django_opentrain.models import Contract, Install, ProjectLink
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.view_decorators import keep_csrf_checks, never_atomic

LINK_TONES: Final[Mapping[str, Tone]] = {
    ProjectLink.Status.PENDING: "busy",
    ProjectLink.Status.ACTIVE: "good",
}


class GrantsOfLink(GrantRows):
    fk_name = "link"


class ProjectLinkAdmin(OpenTrainAdmin):
    """The host's projects, linked to OpenTrain jobs."""

    list_display = ("__str__", "state", "hires", "project_id", "job", "customer", "mode", "trouble")
    list_select_related = ("install",)
    list_filter = (
        AttentionFilter,
        CustomerFilter,
        "status",
        "provisioning_mode",
        "hours_tracked_elsewhere",
        "stop_when_depleted",
    )
    search_fields = (
        "external_project_id__exact",
        "external_project_name__icontains",
        "opentrain_id__exact",
        "job_id__exact",
        "install__tenant__exact",
    )
    search_help_text = gettext_lazy(
        "A part of the project's name; or in full: an id of the project, link or job, or the customer"
    )
    ordering = ("-pk",)
    inlines = (GrantsOfLink,)
    actions = ("unlink", "withhold_hours", "report_hours", "stop_work", "let_work")
    fieldsets = (
        (None, {"fields": ("customer", "install", "state", "last_error_shown")}),
        (
            gettext_lazy("Project"),
            {
                "fields": (
                    "external_project_id",
                    "external_project_name",
                    "project_url",
                    "project_missing_since",
                )
            },
        ),
        (gettext_lazy("OpenTrain"), {"fields": ("opentrain_id", "job_id", "mode")}),
        (gettext_lazy("Settings"), {"fields": ("hours_tracked_elsewhere", "stop_when_depleted")}),
        (
            gettext_lazy("Times"),
            {"fields": ("created_at", "linked_at", "removal_requested_at", "removed_at")},
        ),
    )

    tenant_path = "install__tenant"
    customer = customer_column(tenant_path)
    project_id = short_column("external_project_id", gettext_lazy("project id"))
    job = short_column("job_id", gettext_lazy("job"))
    hires = column(gettext_lazy("contracts"), lambda row: row.hires)
    mode = badge_column("provisioning_mode", gettext_lazy("provisioning"), {})
    project_url = link_column("external_project_url", gettext_lazy("project's page"))
    trouble = problem_column("last_error")
    last_error_shown = whole_problem_column("last_error", gettext_lazy("problem"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, get_permission_codename("add", self.opts))

    @keep_csrf_checks
    @never_atomic
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Link a project of the customer whose connection is named in the URL."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        key = as_key(request.GET.get("install", ""))
        install = Install.objects.live().filter(pk=key).first() if key else None
        if install is not None:
            # Not at the module's level, which is loaded when Django starts: the form loads services.
            from django_opentrain.admin.linking import link_project  # noqa: PLC0415

            return link_project(self, request, install)
        messages.info(request, _("Projects are linked from the page of an active connection."))
        target = f"{Install._meta.app_label}_{Install._meta.model_name}_changelist"
        name = target if self.admin_site.is_registered(Install) else "index"
        return HttpResponseRedirect(reverse(f"admin:{name}", current_app=self.admin_site.name))

    def complete_rows(self, request: HttpRequest, rows: Iterable[Any]) -> None:
        super().complete_rows(request, rows)
        hires = Contract.links.through.objects.filter(projectlink__in=[row.pk for row in rows])
        counts = dict(hires.values_list("projectlink").annotate(count=Count("pk")))
        for row in rows:
            row.hires = counts.get(row.pk, 0)

    @admin.display(description=gettext_lazy("state"), ordering="status")
    def state(self, link: ProjectLink) -> str:
        if link.live and link.removal_requested_at:
            return badge(_("being removed"), "busy")
        return badge(link.get_status_display(), LINK_TONES.get(link.status, "off"))

    @operation(
        gettext_lazy("Unlink"),
        consequence=gettext_lazy(
            "The link is deleted on OpenTrain and every trainer loses the access that it gave. This"
            " can't be undone: to link the project again, create a new link."
        ),
        permission="change_access",
        applies=Q(live=True),
        asks_reason=True,
    )
    def unlink(self, selection: Selection[ProjectLink]) -> int:
        return selection.each(lambda link: _unlink(link, selection))

    @operation(
        gettext_lazy("Hours are tracked elsewhere"),
        consequence=gettext_lazy(
            "Only tasks and labels are reported from now on. The hours of its contracts stay on this site; what"
            " OpenTrain has of them stays there."
        ),
        applies=Q(live=True, hours_tracked_elsewhere=False),
    )
    def withhold_hours(self, selection: Selection[ProjectLink]) -> int:
        return selection.each(lambda link: services.linking.configure(link, hours_tracked_elsewhere=True))

    @operation(
        gettext_lazy("Report hours again"),
        consequence=gettext_lazy(
            "Hours are reported from tomorrow on. Those of the days until today stay on this site, since they were"
            " tracked elsewhere; the daily usage has an action for them."
        ),
        applies=Q(live=True, hours_tracked_elsewhere=True),
    )
    def report_hours(self, selection: Selection[ProjectLink]) -> int:
        return selection.each(lambda link: services.linking.configure(link, hours_tracked_elsewhere=False))

    @operation(
        gettext_lazy("Stop work when the budget is used up"),
        consequence=gettext_lazy(
            "Trainers whose contract's budget is used up, now or later, have no access to these projects until it is"
            " funded again."
        ),
        permission="change_access",
        applies=Q(live=True, stop_when_depleted=False),
    )
    def stop_work(self, selection: Selection[ProjectLink]) -> int:
        return selection.each(lambda link: services.linking.configure(link, stop_when_depleted=True))

    @operation(
        gettext_lazy("Let work go on when the budget is used up"),
        consequence=gettext_lazy(
            "Trainers keep their access to these projects whatever their budget is, and those who are paused get it"
            " back."
        ),
        permission="change_access",
        applies=Q(live=True, stop_when_depleted=True),
    )
    def let_work(self, selection: Selection[ProjectLink]) -> int:
        return selection.each(lambda link: services.linking.configure(link, stop_when_depleted=False))


def _unlink(link: ProjectLink, selection: Selection[ProjectLink]) -> None:
    """Access ends in any case; notifying OpenTrain may have to wait."""
    try:
        services.linking.unlink(link, selection.cause)
    except OpenTrainError as error:
        selection.warn(
            link,
            _(
                "The access ends now. OpenTrain couldn't be notified yet; this will be retried"
                " automatically. %(error)s"
            )
            % {"error": error},
        )
