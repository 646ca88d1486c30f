"""Contracts and participants."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Max
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.admin import moments, services, timelines
from django_opentrain.admin.access import GrantRows
from django_opentrain.admin.actions import Selection, operation
from django_opentrain.admin.base import AttentionFilter, CustomerFilter, OpenTrainAdmin
from django_opentrain.admin.columns import (
    EMPTY,
    MAX_NAME_SHOWN,
    Column,
    age,
    age_column,
    badge,
    badge_column,
    column,
    link_column,
    problem_column,
    sealed,
    short_column,
    shortened,
    whole_problem_column,
)
from django_opentrain.admin.customers import customer_column
from django_opentrain.admin.row_links import RowLinks
from django_opentrain.admin.usage import CORRECTING, CorrectionForm, UsageRows, is_one
from django_opentrain.fields import MAX_ID
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Participant,
    UsageObjection,
    WebhookEvent,
    WorkEntry,
)
from django_opentrain.platform.redaction import mask
from django_opentrain.web.presenters import budgets


def _volume_column(name: str, description: Any) -> Column:
    """An amount of the budget, with its unit."""
    return column(description, lambda row: budgets.volume(row, getattr(row, name)) or EMPTY, ordering=name)


class GrantsOfContract(GrantRows):
    fields: ClassVar[tuple[str, ...]] = ("participant", "link", "access", "cause_shown", "trouble")


class DayCorrectionForm(CorrectionForm):
    """The same of any day, also of one on which nothing was recorded."""

    field_order = ("work_date", "trainer")
    work_date = forms.DateField(label=gettext_lazy("Day"), widget=forms.DateInput(attrs={"type": "date"}))
    trainer = forms.CharField(
        label=gettext_lazy("Trainer"),
        max_length=MAX_ID,
        required=False,
        help_text=gettext_lazy("OpenTrain's user id; empty: the hired trainer."),
    )


class ContractAdmin(OpenTrainAdmin):
    """Hires on OpenTrain, with their last known budget."""

    list_display = (
        "name",
        "state",
        "budget",
        "funded_cut",
        "reported_cut",
        "end_date",
        "trainer_cut",
        "customer",
        "trouble",
    )
    list_select_related = ("install", "trainer")
    list_filter = (AttentionFilter, CustomerFilter, "status", "budget_state", "start_date")
    search_fields = (
        "title__startswith",
        "opentrain_id__exact",
        "job_id__exact",
        "install__tenant__exact",
        "trainer__display_name__startswith",
        "trainer__opentrain_user_id__exact",
    )
    search_help_text = gettext_lazy(
        "The beginning of the title or of the trainer's name; or in full: an id of the contract, job or trainer,"
        " or the customer"
    )
    ordering = ("-pk",)
    inlines = (GrantsOfContract, UsageRows)
    actions = ("refresh_budget", "collect_and_report", "apply_access", "correct_day")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "title",
                    "customer",
                    "install",
                    "opentrain_id",
                    "job_id",
                    "state",
                    "trainer",
                    "projects",
                    "rows",
                )
            },
        ),
        (gettext_lazy("Dates"), {"fields": ("start_date", "end_date", "created_at", "ended_at")}),
        (
            gettext_lazy("Budget"),
            {
                "fields": (
                    "budget",
                    "payment",
                    "funded",
                    "consumed",
                    "remaining",
                    "milestone",
                    "budget_updated",
                    "announced_budget_state",
                )
            },
        ),
        (
            gettext_lazy("Usage"),
            {
                "fields": (
                    "collected",
                    "collect_attempts",
                    "next_collect_at",
                    "collect_error_shown",
                    "reported",
                    "report_attempts",
                    "next_report_at",
                    "hours_withheld_until",
                    "report_unconfirmed_until",
                    "report_error_shown",
                )
            },
        ),
    )

    def timeline(self, row: Contract, links: RowLinks) -> timelines.Timeline:
        """With its grants, the events about it, and the days that were reported."""
        grants = AccessGrant.objects.filter(contract=row).select_related("participant", "link")
        days = DailyUsage.objects.filter(contract=row)
        events = WebhookEvent.objects.about(
            row.install.tenant, [row.opentrain_id], [row.last_event_id, row.budget_event_id]
        )
        return timelines.build(
            links,
            row,
            {**moments.CONTRACT, "budget_updated_at": partial(moments.budget, events)},
            sources=[
                timelines.Source(rows=events, moments=moments.EVENTS),
                timelines.Source(rows=grants, moments=moments.GRANTS),
                timelines.Source(rows=days, moments=moments.DAYS, name=moments.day),
                timelines.Source(
                    rows=days.filter(status=DailyUsage.Status.REFUSED),
                    moments=moments.REFUSED_DAYS,
                    name=moments.day,
                ),
            ],
        )

    def sections(self, request: HttpRequest, row: Contract) -> dict[str, Any]:
        """With the budget as a bar, and the days as a chart."""
        # Not at the module's level, which is loaded when Django starts: no other page of the admin has charts.
        from django_opentrain.web.presenters import course  # noqa: PLC0415

        links = RowLinks(self.admin_site, request)
        shown = {"opentrain_budget": budgets.describe(row), "opentrain_left": budgets.left(row)}
        if links.lead_to(DailyUsage):
            days = DailyUsage.objects.filter(contract=row)
            newest = days.aggregate(day=Max("work_date"))["day"]
            shown["opentrain_course"] = newest and course.course(days, newest, *course.units_of(row))
            shown["opentrain_days"] = links.list_url(DailyUsage, contract__id__exact=row.pk)
        return {**super().sections(request, row), **shown}

    @operation(
        gettext_lazy("Refresh budget"),
        consequence=gettext_lazy(
            "OpenTrain is asked for the budgets of these contracts. Where work stops when a budget is used up, access"
            " follows: it is paused, or given back."
        ),
    )
    def refresh_budget(self, selection: Selection[Contract]) -> int:
        return selection.each(services.contracts.fetch_budget)

    @operation(
        gettext_lazy("Collect and report usage"),
        consequence=gettext_lazy(
            "This site is asked for the work of these contracts, and what OpenTrain doesn't have of it is reported"
            " while you wait. Totals replace those that OpenTrain has, so this can be done at any time."
        ),
    )
    def collect_and_report(self, selection: Selection[Contract]) -> int:
        return selection.each(services.usage.collect_and_report)

    @operation(
        gettext_lazy("Apply access now"),
        consequence=gettext_lazy(
            "Access that isn't as desired is granted or revoked on this site while you wait, even if its next"
            " attempt isn't due yet."
        ),
        permission="change_access",
    )
    def apply_access(self, selection: Selection[Contract]) -> int:
        return selection.each(services.access.converge_contract)

    @operation(gettext_lazy("Correct a day"), consequence=CORRECTING, form=DayCorrectionForm)
    def correct_day(self, selection: Selection[Contract]) -> int:
        values, by = selection.values, selection.operator
        amounts = CorrectionForm.amounts(values)

        def correct(contract: Contract) -> None:
            services.usage.correct(
                contract, values["work_date"], worker_id=values["trainer"], by=by, **amounts
            )

        return selection.each(correct) if is_one(selection) else 0

    tenant_path = "install__tenant"
    customer = customer_column(tenant_path)
    state = badge_column("status", gettext_lazy("state"), {Contract.Status.ACTIVE: "good"})
    name = column(gettext_lazy("contract"), lambda row: shortened(str(row), MAX_NAME_SHOWN), ordering="title")
    trainer_cut = short_column("trainer", gettext_lazy("trainer"), MAX_NAME_SHOWN // 2)
    funded_cut = _volume_column("funded_volume", gettext_lazy("funded"))
    reported_cut = age_column("usage_reported_at", gettext_lazy("reported"))
    reported = age_column("usage_reported_at", gettext_lazy("usage reported"))
    collected = age_column("usage_collected_at", gettext_lazy("usage collected"))
    budget_updated = age_column("budget_updated_at", gettext_lazy("budget as of"))
    payment = column(gettext_lazy("payment type"), lambda row: budgets.payment(row) or EMPTY)
    funded = _volume_column("funded_volume", gettext_lazy("funded volume"))
    consumed = _volume_column("consumed_volume", gettext_lazy("consumed volume"))
    remaining = _volume_column("remaining_volume", gettext_lazy("remaining volume"))
    trouble = problem_column("collect_error", "report_error")
    collect_error_shown = whole_problem_column("collect_error", gettext_lazy("collecting failed"))
    report_error_shown = whole_problem_column("report_error", gettext_lazy("problem"))

    @admin.display(description=gettext_lazy("budget"), ordering="consumed_fraction")
    def budget(self, contract: Contract) -> str:
        words = contract.get_budget_state_display()
        if contract.consumed_fraction is not None:
            words = _("%(state)s, %(percent)d %% used") % {
                "state": words,
                "percent": contract.consumed_fraction * 100,
            }
        return badge(words, moments.BUDGET_TONES.get(contract.budget_state, "off"))

    @admin.display(description=gettext_lazy("active milestone"))
    def milestone(self, contract: Contract) -> str:
        active = contract.active_milestone
        return str(active.get("name") or active.get("id") or EMPTY) if isinstance(active, dict) else EMPTY

    @admin.display(description=gettext_lazy("projects"))
    def projects(self, contract: Contract) -> str:
        names = ((str(link),) for link in contract.links.order_by("pk")[:20])
        return format_html_join(", ", "{}", names) or EMPTY

    @admin.display(description=gettext_lazy("related"))
    def rows(self, contract: Contract) -> str:
        links = [
            self.rows_link(model, contract__id__exact=contract.pk)
            for model in (AccessGrant, DailyUsage, UsageObjection)
        ]
        if contract.trainer:
            links.append(
                self.rows_link(WorkEntry, opentrain_user_id__exact=contract.trainer.opentrain_user_id)
            )
        return format_html_join(" · ", "{}", ((link,) for link in links))


class ParticipantAdmin(OpenTrainAdmin):
    """Trainers, per install."""

    list_display = ("__str__", "known_email", "country", "user_id", "customer", "purged")
    list_select_related = ("install",)
    list_filter = (CustomerFilter,)
    search_fields = ("display_name__startswith", "opentrain_user_id__exact", "install__tenant__exact")
    search_help_text = gettext_lazy(
        "The beginning of the name; or in full: the OpenTrain user id, or the customer"
    )
    ordering = ("-pk",)
    inlines = (GrantRows,)
    fields = (
        "customer",
        "install",
        "opentrain_user_id",
        "display_name",
        "country",
        "profile",
        "masked_email",
        "created_at",
        "email_changed_at",
        "purged_at",
    )

    tenant_path = "install__tenant"
    customer = customer_column(tenant_path)
    user_id = short_column("opentrain_user_id", gettext_lazy("OpenTrain user id"))
    profile = link_column("profile_url", gettext_lazy("profile"))
    purged = column(gettext_lazy("personal data deleted"), lambda row: age(row.purged_at))

    @admin.display(description=gettext_lazy("Work Email"))
    def masked_email(self, participant: Participant) -> str:
        return sealed(lambda: participant.work_email, mask)

    @admin.display(description=gettext_lazy("Work Email known"), boolean=True)
    def known_email(self, participant: Participant) -> bool:
        field: Any = Participant._meta.get_field("work_email")
        return field.ciphertext(participant) is not None
