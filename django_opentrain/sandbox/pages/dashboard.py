"""The control page: all that the sandbox knows, and a button for all that can happen."""

from __future__ import annotations

from django_opentrain.platform.catalog import INSTALL_ACTIVE
from django_opentrain.sandbox import records
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.http import Response
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.models import App, Install, Job, Link, Organization
from django_opentrain.sandbox.pages.contracts import contracts_section
from django_opentrain.sandbox.pages.html import Markup, join, tag
from django_opentrain.sandbox.pages.layout import (
    Row,
    action,
    badge,
    field,
    happened,
    ids,
    page,
    section,
    select,
    table,
    text_input,
    when,
)
from django_opentrain.sandbox.pages.plumbing import endpoints_section, faults_section
from django_opentrain.sandbox.store import Store

LATEST = 100


def dashboard(market: Marketplace, *, problem: str = "", status: int = 200) -> Response:
    """Everything on one page; ``problem`` says what a button could not do."""
    store = market.store
    with store.transaction():
        return page(
            "Control",
            tag("h1", "What happens on OpenTrain"),
            tag("p", problem, class_="notice bad", role="alert") if problem else join(),
            _clock(market),
            _jobs(store),
            contracts_section(store),
            _installs(store),
            _links(store),
            endpoints_section(store),
            faults_section(store),
            status=status,
            wide=True,
        )


def _clock(market: Marketplace) -> Markup:
    speed = market.clock.speed
    pace = "" if speed == 1 else f", {speed:g} times as fast as yours"
    jumps = (("1 minute", 60), ("30 minutes", 1800), ("2 hours", 7200), ("1 day", 86_400))
    forms = [action("advance", f"+ {t}", section="clock", seconds=str(s)) for t, s in jumps]
    return section(
        "clock",
        "Clock",
        tag("p", "It is ", when(iso(market.clock.now())), f"{pace}. Jump ahead:"),
        tag("div", *forms, class_="row"),
    )


def _jobs(store: Store) -> Markup:
    organizations = store.all(Organization)
    rows = [_job(store, each) for each in store.all(Job)]
    create = action(
        "create_job",
        "Create job",
        field("Title", text_input("title")),
        field("Pays", select("paymentType", [(each, each) for each in records.PAYMENT_TYPES])),
        field("For", select("organizationId", [(each.id, each.name) for each in organizations])),
        section="jobs",
    )
    customer = action(
        "create_organization",
        "Create organization",
        field("Organization", text_input("name")),
        section="jobs",
    )
    columns = ("Job", "Organization", "Pays", "Hire an AI trainer")
    return section(
        "jobs",
        "Jobs",
        table("Jobs", columns, rows, "No jobs yet."),
        tag("div", create, customer, class_="row"),
    )


def _job(store: Store, job: Job) -> Row:
    customer = find(store, Organization, job.organization_id)
    # The id stays in sight: customers copy it into the platform.
    return (
        join(tag("strong", job.title), tag("p", tag("code", job.id), class_="aside")),
        join(customer.name, None if customer.feature_enabled else badge("feature off")),
        job.payment_type,
        _hire(job),
    )


def _hire(job: Job) -> Markup:
    emails = [(records.NOW, "now"), (records.LATER, "when released"), (records.NEVER, "never")]
    return action(
        "hire",
        "Hire",
        field("Name", text_input("name", value="Maria S.")),
        field("Work Email", select("workEmail", emails)),
        section="contracts",
        jobId=job.id,
    )


def _installs(store: Store) -> Markup:
    rows = [_install(store, each) for each in reversed(store.all(Install))]
    columns = ("App", "Status", "Granted", "Actions")
    return section(
        "installs",
        "Apps and installs",
        *(_app(each) for each in store.all(App)),
        table("Installs", columns, rows, "Not connected yet."),
        tag("p", "To reconnect, connect again: the earlier install is revoked then."),
    )


def _install(store: Store, install: Install) -> Row:
    app = find(store, App, install.app_slug)
    customer = find(store, Organization, install.organization_id)
    end = action("disconnect", "Disconnect", section="installs", installId=install.id)
    revoked = None if install.revoked_at is None else iso(install.revoked_at)
    return (
        join(tag("strong", app.name), tag("p", f"for {customer.name}"), ids(Install=install.id)),
        join(
            badge(install.status),
            happened("Connected", iso(install.created_at)),
            happened("Revoked", revoked),
        ),
        f"{len(install.scopes)} scopes, PII {'agreed' if install.pii_consent else 'refused'}",
        end if install.status == INSTALL_ACTIVE else None,
    )


def _app(app: App) -> Markup:
    toggle, flag = ("Deactivate", "false") if app.active else ("Activate", "true")
    return tag(
        "div",
        tag("p", tag("strong", app.name), " ", badge("on" if app.active else "off")),
        tag("a", "Consent page", href=f"/integrations/{app.slug}/connect"),
        action("set_app", toggle, section="installs", slug=app.slug, active=flag),
        class_="row",
    )


def _links(store: Store) -> Markup:
    rows = [_link(store, each) for each in reversed(store.all(Link)[-LATEST:])]
    columns = ("Project", "Job", "Provisioning", "Linked")
    empty = "No project is linked yet."
    return section("links", "Project links", table("Project links", columns, rows, empty))


def _link(store: Store, link: Link) -> Row:
    job = store.get(Job, link.job_id)
    name = link.external_project_name or link.external_project_id
    known = ids(Link=link.id, Project=link.external_project_id, Install=link.install_id)
    return (
        join(tag("strong", name), known),
        job.title if job else "no job",
        link.provisioning_mode,
        when(iso(link.created_at)),
    )
