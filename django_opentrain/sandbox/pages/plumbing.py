"""The control page's technical half: webhook endpoints, their deliveries, and faults."""

from __future__ import annotations

from django_opentrain.sandbox import faults
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import App, Delivery, Endpoint, Event, Fault, Install, Organization
from django_opentrain.sandbox.pages.html import Markup, join, tag
from django_opentrain.sandbox.pages.layout import (
    Row,
    action,
    badge,
    field,
    happened,
    section,
    select,
    table,
    text_input,
    when,
)
from django_opentrain.sandbox.store import Store

LATEST_DELIVERIES = 50


def endpoints_section(store: Store) -> Markup:
    """Each endpoint with its latest deliveries, the newest first."""
    endpoints = [_endpoint(store, each) for each in reversed(store.all(Endpoint))]
    empty = tag("p", "No webhook endpoint is registered yet.", class_="empty")
    return section("webhooks", "Webhooks", *(endpoints or [empty]))


def _endpoint(store: Store, endpoint: Endpoint) -> Markup:
    latest = reversed(store.owned(Delivery, endpoint.id)[-LATEST_DELIVERIES:])
    rows = [_delivery(store, endpoint, each) for each in latest]
    reason = f" ({endpoint.disabled_reason})" if endpoint.disabled_reason else ""
    again = action("redeliver", "Redeliver all failed", section="webhooks", endpointId=endpoint.id)
    install = find(store, Install, endpoint.install_id)
    app, customer = find(store, App, install.app_slug), find(store, Organization, install.organization_id)
    caption = f"Deliveries to {endpoint.url}"
    columns = ("Event", "State", "Attempts", "Next", "Actions")
    return tag(
        "article",
        tag("h3", f"{app.name} for {customer.name}"),
        tag("p", tag("code", endpoint.url), class_="aside"),
        happened("Registered", iso(endpoint.created_at)),
        tag(
            "div",
            tag(
                "p",
                badge(endpoint.status),
                f"{reason} · {endpoint.consecutive_failures} failures in a row · "
                f"{len(endpoint.event_types)} event types",
            ),
            again,
            class_="row",
        ),
        table(caption, columns, rows, "Nothing was sent here yet."),
    )


def _delivery(store: Store, endpoint: Endpoint, delivery: Delivery) -> Row:
    event = find(store, Event, delivery.event_id)
    outcomes = [
        tag("li", when(iso(each.at)), " ", each.error or f"HTTP {each.status}") for each in delivery.attempts
    ]
    pending = delivery.status == "PENDING"
    again = action(
        "redeliver",
        "Redeliver",
        section="webhooks",
        endpointId=endpoint.id,
        deliveryId=delivery.id,
    )
    summary = tag("summary", f"{len(outcomes)}")
    return (
        join(tag("strong", event.type), happened(f"Event {event.id}", iso(event.created_at))),
        badge(delivery.status),
        tag("details", summary, tag("ol", *outcomes)) if outcomes else "0",
        when(iso(delivery.next_attempt_at)) if pending else None,
        None if pending else again,
    )


def _answer(fault: Fault) -> str:
    """What the caller gets instead of a good answer."""
    others = {"slow": f"{fault.seconds:g} s late", "drop": "lost", "truncate": "cut short"}
    return others.get(fault.kind, f"HTTP {fault.status}")


def faults_section(store: Store) -> Markup:
    """Trouble for the next API calls: what is on order, and a form for more."""
    rows: list[Row] = [
        (each.kind, tag("code", each.match), str(each.times), _answer(each)) for each in store.all(Fault)
    ]
    order = action(
        "fault",
        "Order",
        field("Kind", select("kind", [(each, each) for each in faults.KINDS])),
        field("Calls (METHOD /path, a regular expression)", text_input("match", value=".*")),
        field("Times", text_input("times", value="1", kind="number")),
        field("Status", text_input("status", kind="number", required=False)),
        field("Seconds", text_input("seconds", kind="number", required=False)),
        section="faults",
    )
    clear = action("clear_faults", "Clear", section="faults")
    columns = ("Kind", "Calls", "Times left", "Answer")
    return section(
        "faults",
        "Faults",
        tag("p", "Make the next API calls fail, hang or lose their answers."),
        table("Faults on order", columns, rows, "None on order."),
        tag("div", order, clear if rows else None, class_="row"),
    )
