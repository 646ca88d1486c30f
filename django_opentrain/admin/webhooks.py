"""Webhook endpoints and their events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_opentrain.admin import history, moments, services, timelines
from django_opentrain.admin.actions import Selection, operation
from django_opentrain.admin.base import AttentionFilter, CustomerFilter, LatestRows, OpenTrainAdmin
from django_opentrain.admin.bodies import linked, readable_body, whole_body
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
from django_opentrain.admin.row_links import RowLinks
from django_opentrain.errors import OperationRefused
from django_opentrain.fields import MAX_ID
from django_opentrain.models import AccessGrant, WebhookEndpoint, WebhookEvent
from django_opentrain.models.access import event_cause
from django_opentrain.platform import catalog
from django_opentrain.services import endpoint_traffic

ENDPOINT_TONES: Final[Mapping[str, Tone]] = {
    WebhookEndpoint.Status.PENDING: "busy",
    WebhookEndpoint.Status.ACTIVE: "good",
    WebhookEndpoint.Status.DISABLED: "bad",
    WebhookEndpoint.Status.PAUSED: "warn",
    WebhookEndpoint.Status.RETIRING: "busy",
}
#: The types of events whose resource is a project link.
ABOUT_LINKS: Final = (catalog.PROJECT_LINK_CREATED, catalog.PROJECT_LINK_REMOVED)
#: Endpoints that exist at OpenTrain and that an operator may change there.
CHANGEABLE: Final = Q(
    status__in=[
        WebhookEndpoint.Status.ACTIVE,
        WebhookEndpoint.Status.DISABLED,
        WebhookEndpoint.Status.PAUSED,
    ]
)


class EventRows(LatestRows):
    model = WebhookEvent
    verbose_name_plural = gettext_lazy("last events")
    fields = ("type", "event_id", "resource_id", "state", "received", "trouble")
    state = badge_column("status", gettext_lazy("state"), moments.EVENT_TONES)
    received = age_column("received_at", gettext_lazy("received"))
    trouble = problem_column("error")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        return _without_body(super().get_queryset(request))


class RedeliveryForm(forms.Form):
    """Which delivery is sent again."""

    delivery_id = forms.CharField(
        label=gettext_lazy("Delivery id"),
        max_length=MAX_ID,
        required=False,
        help_text=gettext_lazy("Empty: all deliveries that failed."),
    )


def _traffic(endpoint: Any) -> endpoint_traffic.Traffic:
    """Of a list's row it is known already."""
    known: endpoint_traffic.Traffic | None = getattr(endpoint, "traffic", None)
    return known or endpoint_traffic.traffic([endpoint.pk])[endpoint.pk]


def _error_rate(traffic: endpoint_traffic.Traffic) -> str:
    """The share of the events that failed, and their number."""
    if not traffic.received:
        return EMPTY
    words = f"{number_format(100 * traffic.failed / traffic.received, 1)} %"
    return badge(f"{words} ({traffic.failed})", "bad") if traffic.failed else words


class WebhookEndpointAdmin(OpenTrainAdmin):
    """Where OpenTrain sends each install's events."""

    list_display = (
        "customer",
        "state",
        "last_event",
        "error_rate",
        "failures",
        "checked",
        "remote_id",
        "trouble",
    )
    list_select_related = ("install",)
    list_filter = (AttentionFilter, CustomerFilter, "status")
    search_fields = (
        "key__icontains",
        "opentrain_id__icontains",
        "url__icontains",
        "install__tenant__icontains",
    )
    search_help_text = gettext_lazy("A part of the key, the OpenTrain id, the URL, or the customer")
    ordering = ("-pk",)
    inlines = (EventRows,)
    actions = ("recover", "redeliver", "pause", "rotate_secret", "replace_compromised")
    fieldsets = (
        (None, {"fields": ("customer", "install", "key", "url", "state", "last_error_shown")}),
        (gettext_lazy("OpenTrain"), {"fields": ("opentrain_id", "types", "secret_shown")}),
        (
            gettext_lazy("Health"),
            {
                "fields": (
                    "last_event",
                    "error_rate",
                    "consecutive_failures",
                    "disabled_at",
                    "disabled_reason_shown",
                    "checked",
                )
            },
        ),
        (gettext_lazy("Times"), {"fields": ("created_at", "retire_at")}),
        (None, {"fields": ("rows",)}),
    )

    tenant_path = "install__tenant"
    customer = customer_column(tenant_path)
    state = badge_column("status", gettext_lazy("state"), ENDPOINT_TONES)
    last_event = column(gettext_lazy("last event"), lambda row: age(_traffic(row).last_at))
    error_rate = column(gettext_lazy("failed, 7 days"), lambda row: _error_rate(_traffic(row)))
    failures = column(
        gettext_lazy("failures"), lambda row: row.consecutive_failures, ordering="consecutive_failures"
    )
    remote_id = short_column("opentrain_id", gettext_lazy("OpenTrain id"))
    checked = age_column("checked_at", gettext_lazy("checked"))
    trouble = problem_column("last_error")
    last_error_shown = whole_problem_column("last_error", gettext_lazy("problem"))
    disabled_reason_shown = whole_problem_column("disabled_reason", gettext_lazy("reason"))
    types = column(gettext_lazy("event types"), lambda row: ", ".join(map(str, row.event_types)) or EMPTY)

    @admin.display(description=gettext_lazy("secret"))
    def secret_shown(self, endpoint: WebhookEndpoint) -> str:
        return sealed(lambda: endpoint.secret, lambda _secret: badge(_("stored, encrypted"), "good"))

    @admin.display(description=gettext_lazy("related"))
    def rows(self, endpoint: WebhookEndpoint) -> str:
        return self.rows_link(WebhookEvent, endpoint__id__exact=endpoint.pk)

    def timeline(self, row: WebhookEndpoint, links: RowLinks) -> timelines.Timeline:
        """With its events."""
        events = timelines.Source(rows=row.events.defer("body"), moments=moments.EVENTS)
        return timelines.build(links, row, moments.ENDPOINT, sources=[events])

    @operation(
        gettext_lazy("Re-enable"),
        consequence=gettext_lazy(
            "OpenTrain re-enables each endpoint and sends its failed deliveries again; then a worker"
            " finds what was missed."
        ),
        applies=CHANGEABLE,
    )
    def recover(self, selection: Selection[WebhookEndpoint]) -> int:
        return selection.each(services.endpoints.recover)

    def complete_rows(self, request: HttpRequest, rows: Iterable[Any]) -> None:
        super().complete_rows(request, rows)
        traffic = endpoint_traffic.traffic([row.pk for row in rows])
        for row in rows:
            row.traffic = traffic[row.pk]

    @operation(
        gettext_lazy("Redeliver"),
        consequence=gettext_lazy(
            "OpenTrain sends these endpoints' failed deliveries again within about five minutes, or the one that you"
            " name, whatever its status. What has been received already takes effect once: to process it again,"
            " replay the event."
        ),
        applies=Q(status__in=[WebhookEndpoint.Status.ACTIVE, WebhookEndpoint.Status.RETIRING]),
        form=RedeliveryForm,
    )
    def redeliver(self, selection: Selection[WebhookEndpoint]) -> int:
        def send_again(endpoint: WebhookEndpoint) -> None:
            count = (
                services.endpoints.redeliver(endpoint, selection.values["delivery_id"] or None).requeued or 0
            )
            said = ngettext(
                "%(count)d delivery is sent again.", "%(count)d deliveries are sent again.", count
            )
            messages.info(selection.request, f"{endpoint}: {said % {'count': count}}")

        return selection.each(send_again)

    @operation(
        gettext_lazy("Pause"),
        consequence=gettext_lazy(
            "OpenTrain sends nothing to these endpoints until they are re-enabled. Events are not kept"
            " for later: only a sync finds what they would have said."
        ),
        applies=CHANGEABLE,
    )
    def pause(self, selection: Selection[WebhookEndpoint]) -> int:
        return selection.each(services.endpoints.pause)

    @operation(
        gettext_lazy("Rotate secret"),
        consequence=gettext_lazy(
            "Each endpoint is replaced by one with a new secret. The old one is accepted until"
            " OpenTrain's last retries to it are over; an event that arrives at both takes effect once."
        ),
        permission="rotate_secret",
        applies=CHANGEABLE,
    )
    def rotate_secret(self, selection: Selection[WebhookEndpoint]) -> int:
        return selection.each(services.endpoints.rotate_secret)

    @operation(
        gettext_lazy("Replace compromised secret"),
        consequence=gettext_lazy(
            "Nothing that is signed with these secrets takes effect from now on, and each endpoint is replaced by"
            " one with a new secret. What is lost is found by a sync."
        ),
        permission="rotate_secret",
        applies=CHANGEABLE | Q(status=WebhookEndpoint.Status.RETIRING),
    )
    def replace_compromised(self, selection: Selection[WebhookEndpoint]) -> int:
        return selection.each(partial(services.endpoints.rotate_secret, compromised=True))


class EventTypeFilter(admin.SimpleListFilter):
    """By the documented types: to query the types in the table would read all of it."""

    title = gettext_lazy("type")
    parameter_name = "type"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in catalog.EVENT_TYPES]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class EventCustomer(CustomerFilter):
    path = "endpoint__install"


class WebhookEventAdmin(OpenTrainAdmin):
    """Verified deliveries, and their status."""

    list_display = ("kind", "state", "attempts", "received", "event", "resource", "customer", "trouble")
    list_select_related = ("endpoint__install",)
    list_filter = (AttentionFilter, EventCustomer, "status", EventTypeFilter, "received_at")
    search_fields = (
        "event_id__exact",
        "delivery_id__exact",
        "resource_id__exact",
        "endpoint__install__tenant__exact",
    )
    search_help_text = gettext_lazy(
        "In full: an id of the event, of its delivery or of what it is about, or the customer"
    )
    ordering = ("-pk",)
    # By its other columns a large table would be sorted as a whole.
    sortable_by = ("received", "event", "resource")
    actions = ("process_now", "replay")
    fieldsets = (
        (None, {"fields": ("type", "customer", "endpoint", "state", "error_shown")}),
        (gettext_lazy("Ids"), {"fields": ("event_id", "delivery_id", "resource_id", "job_id")}),
        (
            gettext_lazy("Processing"),
            {"fields": ("received_at", "processed_at", "attempts", "next_attempt")},
        ),
    )

    tenant_path = "endpoint__install__tenant"
    customer = customer_column(tenant_path)
    kind = column(gettext_lazy("type"), lambda row: row.type or "?")
    event = short_column("event_id", gettext_lazy("event id"))
    resource = short_column("resource_id", gettext_lazy("resource id"))
    state = badge_column("status", gettext_lazy("state"), moments.EVENT_TONES)
    received = age_column("received_at", gettext_lazy("received"))
    next_attempt = age_column("next_attempt_at", gettext_lazy("next attempt"))
    trouble = problem_column("error")
    error_shown = whole_problem_column("error", gettext_lazy("problem"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        return _without_body(super().get_queryset(request))

    def timeline(self, row: WebhookEvent, links: RowLinks) -> timelines.Timeline:
        """With its other deliveries, and the access that was desired because of it."""
        tenant = row.endpoint.install.tenant
        deliveries = WebhookEvent.objects.about(tenant, (), [row.event_id]).exclude(pk=row.pk)
        # One of the two: for both, all grants of a customer would be read.
        about = "link" if row.type in ABOUT_LINKS else "contract"
        caused = AccessGrant.objects.filter(
            **{f"{about}__opentrain_id": row.resource_id, f"{about}__install__tenant": tenant},
            cause=event_cause(row.event_id, row.type),
        )
        return timelines.build(
            links,
            row,
            moments.EVENT,
            beside=[(row.endpoint, moments.ENDPOINTS)],
            sources=[
                timelines.Source(rows=deliveries, moments=moments.EVENTS),
                timelines.Source(rows=caused.select_related("participant", "link"), moments=moments.GRANTS),
            ],
        )

    def sections(self, request: HttpRequest, row: WebhookEvent) -> dict[str, Any]:
        """With the body: unmasked for those who may see that, which is recorded."""
        body = sealed(lambda: row.body, partial(self._body, request, row))
        return {**super().sections(request, row), "opentrain_body": body}

    def _body(self, request: HttpRequest, event: WebhookEvent, body: bytes) -> str:
        if self.may(request, "view_payload"):
            history.record(request, [event], _("Viewed the body unmasked"))
            text, note = whole_body(body), _("As received. The event's history says that you have viewed it.")
        else:
            text, note = readable_body(body), _("As received, with addresses and secrets masked.")
        return format_html(
            '<p>{}</p><pre class="opentrain-body" tabindex="0" role="region"'
            ' aria-labelledby="opentrain-body">{}</pre>',
            note,
            linked(text, event.endpoint.install, RowLinks(self.admin_site, request)),
        )

    @operation(
        gettext_lazy("Process now"),
        consequence=gettext_lazy(
            "Pending events take effect while you wait: they may decide who gets or loses access."
        ),
        applies=Q(status=WebhookEvent.Status.PENDING),
    )
    def process_now(self, selection: Selection[WebhookEvent]) -> int:
        return selection.each(_process)

    @operation(
        gettext_lazy("Replay"),
        consequence=gettext_lazy(
            "Workers process these events again, whatever their status. What has been superseded since"
            " (an ended contract, a removed link) doesn't change. Events whose body was purged can't be"
            " replayed."
        ),
        applies=Q(body__isnull=False),
    )
    def replay(self, selection: Selection[WebhookEvent]) -> int:
        return selection.in_bulk(services.inbox.replay)


def _without_body(events: QuerySet[WebhookEvent]) -> QuerySet[WebhookEvent]:
    """A body may have 256 KiB, and a list doesn't show it."""
    return events.defer("body")


def _process(event: WebhookEvent) -> None:
    processed = services.inbox.process(event)
    if processed.status in (WebhookEvent.Status.PENDING, WebhookEvent.Status.FAILED):
        raise OperationRefused(processed.error or _("Another worker is processing it."))
