"""Installs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.admin import losses, moments, services, timelines
from django_opentrain.admin.actions import Selection, operation
from django_opentrain.admin.base import AttentionFilter, LatestRows, OpenTrainAdmin
from django_opentrain.admin.columns import (
    EMPTY,
    Tone,
    age,
    age_column,
    badge,
    badge_column,
    column,
    problem_column,
    sealed,
    short_column,
    whole_problem_column,
)
from django_opentrain.admin.customers import customer_column
from django_opentrain.admin.links import LINK_TONES
from django_opentrain.admin.row_links import RowLinks, user_link
from django_opentrain.admin.webhooks import ENDPOINT_TONES
from django_opentrain.errors import OperationRefused
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Heartbeat,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform.redaction import mask
from django_opentrain.services.workers import retries
from django_opentrain.services.workers.heartbeat import SWEEP

INSTALL_TONES: Final[Mapping[str, Tone]] = {
    Install.Status.PENDING: "busy",
    Install.Status.ACTIVE: "good",
    Install.Status.UNAUTHORIZED: "bad",
}

#: The models to whose lists an install's page links; each has a ``CustomerFilter``.
INSTALL_ROWS: Final = (
    ProjectLink,
    Contract,
    Participant,
    AccessGrant,
    DailyUsage,
    WebhookEndpoint,
    WebhookEvent,
)


class LinkRows(LatestRows):
    model = ProjectLink
    verbose_name_plural = gettext_lazy("newest project links")
    fields = ("external_project_id", "job_id", "state", "provisioning_mode", "trouble")
    state = badge_column("status", gettext_lazy("state"), LINK_TONES)
    trouble = problem_column("last_error")


class ContractRows(LatestRows):
    model = Contract
    verbose_name_plural = gettext_lazy("newest contracts")
    fields = ("opentrain_id", "trainer_name", "status", "budget_state", "start_date", "end_date")
    trainer_name = column(gettext_lazy("trainer"), lambda row: str(row.trainer or EMPTY))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contract]:
        return super().get_queryset(request).select_related("trainer")


class EndpointRows(LatestRows):
    model = WebhookEndpoint
    verbose_name_plural = gettext_lazy("newest webhook endpoints")
    fields = ("key", "opentrain_id", "state", "consecutive_failures", "trouble")
    state = badge_column("status", gettext_lazy("state"), ENDPOINT_TONES)
    trouble = problem_column("last_error")


class InstallAdmin(OpenTrainAdmin):
    """The customers' connections to our platform app."""

    list_display = ("customer", "state", "held", "reconciled", "verified", "remote_id", "trouble")
    list_filter = (AttentionFilter, "status", "pii_consent")
    search_fields = (
        "tenant__icontains",
        "opentrain_id__icontains",
        "expected_id__icontains",
        "organization_id__icontains",
    )
    search_help_text = gettext_lazy("A part of the customer, or of one of the ids")
    ordering = ("-pk",)
    inlines = (LinkRows, ContractRows, EndpointRows)
    actions = ("verify", "reconcile_now", "confirm_held_removals", "disconnect")
    fieldsets = (
        (None, {"fields": ("customer", "state", "last_error_shown", "rows")}),
        (
            gettext_lazy("OpenTrain"),
            {
                "fields": (
                    "opentrain_id",
                    "organization_id",
                    "app_slug",
                    "token_shown",
                    "granted_scopes",
                    "missing_scopes",
                    "pii_consent",
                    "expected_id",
                    "requested_project_id",
                    "connected_by_shown",
                    "superseded_by",
                )
            },
        ),
        (
            gettext_lazy("Health"),
            {
                "fields": (
                    "verified",
                    "refused_at",
                    "paused",
                    "last_error_code",
                    "elsewhere",
                    "created_at",
                    "revoked_at",
                )
            },
        ),
        (
            gettext_lazy("Sync"),
            {
                "fields": (
                    "reconciled",
                    "next_reconcile_at",
                    "reconcile_attempts",
                    "removals_held",
                    "held_back",
                    "last_changes",
                    "last_problems",
                )
            },
        ),
    )

    tenant_path = "tenant"
    customer = customer_column(tenant_path)
    state = badge_column("status", gettext_lazy("state"), INSTALL_TONES)
    remote_id = short_column("opentrain_id", gettext_lazy("OpenTrain id"))
    verified = age_column("verified_at", gettext_lazy("verified"))
    reconciled = age_column("reconciled_at", gettext_lazy("synced"))
    trouble = problem_column("last_error")
    last_error_shown = whole_problem_column("last_error", gettext_lazy("problem"))
    paused = column(gettext_lazy("paused by OpenTrain's rate limit"), lambda row: age(row.paused_until))
    granted_scopes = column(gettext_lazy("scopes"), lambda row: ", ".join(map(str, row.scopes)) or EMPTY)
    elsewhere = column(
        gettext_lazy("endpoints of other sites"), lambda row: ", ".join(row.foreign_endpoints) or EMPTY
    )
    held_back = column(gettext_lazy("details of held removals"), lambda row: _summary(row, "held"))
    last_changes = column(gettext_lazy("last changes"), lambda row: _summary(row, "changes"))
    last_problems = column(gettext_lazy("last problems"), lambda row: _summary(row, "problems"))

    @admin.display(description=gettext_lazy("held removals"), ordering="removals_held")
    def held(self, install: Install) -> str:
        if not install.removals_held:
            return EMPTY
        return badge(str(install.removals_held), "bad")

    @admin.display(description=gettext_lazy("token"))
    def token_shown(self, install: Install) -> str:
        return sealed(lambda: install.token, lambda _token: f"••••{install.token_hint}")

    @admin.display(description=gettext_lazy("connected by"))
    def connected_by_shown(self, install: Install) -> str:
        user = install.connected_by
        return user_link(install, user, str(user)) if user else EMPTY

    @admin.display(description=gettext_lazy("missing scopes"))
    def missing_scopes(self, install: Install) -> str:
        missing = services.connect.missing_scopes(install)
        return badge(", ".join(missing), "warn") if missing else EMPTY

    @admin.display(description=gettext_lazy("related"))
    def rows(self, install: Install) -> str:
        links = [self.rows_link(model, install=install.pk) for model in INSTALL_ROWS]
        links_here: RowLinks = install.row_links  # type: ignore[attr-defined] # set for its page
        if install.is_live and (url := links_here.add_url(ProjectLink)):
            links.append(format_html('<a href="{}?install={}">{}</a>', url, install.pk, _("Link a project")))
        return format_html_join(" · ", "{}", ((link,) for link in links))

    def timeline(self, row: Install, links: RowLinks) -> timelines.Timeline:
        """With its links, contracts, endpoints and their events, and the schedule that syncs it."""
        # Not a join: how many events an endpoint has decides how the newest are found.
        endpoints = list(row.webhook_endpoints.values_list("pk", flat=True))
        events = WebhookEvent.objects.filter(endpoint__in=endpoints).defer("body")
        beats = Heartbeat.objects.filter(name=SWEEP)
        return timelines.build(
            links,
            row,
            moments.INSTALL,
            sources=[
                timelines.Source(rows=row.project_links.all(), moments=moments.LINK),
                timelines.Source(rows=row.contracts.all(), moments=moments.CONTRACTS),
                timelines.Source(
                    rows=row.webhook_endpoints.select_related("install"), moments=moments.ENDPOINTS
                ),
                timelines.Source(rows=events, moments=moments.EVENTS),
                timelines.Source(rows=beats, moments=moments.BEATS),
            ],
        )

    @operation(
        gettext_lazy("Verify with OpenTrain"),
        consequence=gettext_lazy(
            "OpenTrain is asked for the status of each connection. A connection whose token is accepted"
            " again becomes active; one whose token is refused is marked as refused."
        ),
    )
    def verify(self, selection: Selection[Install]) -> int:
        return selection.each(services.connect.verify)

    @operation(
        gettext_lazy("Sync now"),
        consequence=gettext_lazy(
            "A worker compares links, contracts, trainers and endpoints with OpenTrain and restores"
            " what differs. The result is shown on the connection's page."
        ),
    )
    def reconcile_now(self, selection: Selection[Install]) -> int:
        return selection.each(_reconcile)

    @operation(
        gettext_lazy("Confirm held removals"),
        consequence=gettext_lazy(
            "According to OpenTrain an unusually large share of these customers' access should be"
            " revoked, or its lists leave it in doubt, so it was held back. Check on OpenTrain before you"
            " confirm: the trainers lose their access."
        ),
        permission="change_access",
        applies=Q(removals_held__gt=0),
        losses=losses.of_held_removals,
    )
    def confirm_held_removals(self, selection: Selection[Install]) -> int:
        return selection.each(services.reconcile.confirm_removals)

    @operation(
        gettext_lazy("Disconnect"),
        consequence=gettext_lazy(
            "Every trainer of these customers loses access. The last usage is reported, the webhook"
            " endpoints are removed and the token is deleted. To return, the customer has to connect"
            " again."
        ),
        permission="disconnect",
        applies=Q(status__in=Install.LIVE),
    )
    def disconnect(self, selection: Selection[Install]) -> int:
        return selection.each(services.connect.disconnect)


def _reconcile(install: Install) -> None:
    if not install.is_usable:
        raise OperationRefused(
            _(
                "This connection is not active, so it can't be synced: verify it, or"
                " let the customer connect again."
            )
        )
    retries.request_reconcile(install)


def _summary(install: Install, key: str) -> str:
    lines = install.last_reconciliation.get(key) or ()
    return (
        format_html_join("", '<div class="opentrain-line">{}</div>', ((mask(str(line)),) for line in lines))
        or EMPTY
    )
