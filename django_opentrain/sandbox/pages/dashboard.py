"""The control page: all that the sandbox knows, and a button for all that can happen."""

from __future__ import annotations

from django_opentrain.platform.catalog import CONTRACT_ACTIVE, INSTALL_ACTIVE
from django_opentrain.sandbox import records
from django_opentrain.sandbox.budget import budget_of
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.http import Response
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.models import (
    App,
    Contract,
    Freelancer,
    Install,
    Job,
    Link,
    Organization,
)
from django_opentrain.sandbox.pages.html import Markup, join, tag
from django_opentrain.sandbox.pages.layout import (
    action,
    badge,
    field,
    page,
    row,
    section,
    select,
    table,
    text_input,
)
from django_opentrain.sandbox.pages.plumbing import endpoints_section, faults_section
from django_opentrain.sandbox.payloads import number
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
            _contracts(store),
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
    now = iso(market.clock.now())
    return section(
        "clock",
        "Clock",
        tag("p", "It is ", tag("time", now, datetime=now), f"{pace}. Jump ahead:"),
        tag("div", *forms, class_="row"),
    )


def _jobs(store: Store) -> Markup:
    organizations = store.all(Organization)
    names = {each.id: each for each in organizations}
    rows = [
        row(
            join(tag("strong", job.title), " ", tag("code", job.id)),
            join(
                names[job.organization_id].name,
                None if names[job.organization_id].feature_enabled else badge("feature off"),
            ),
            job.payment_type,
            _hire(job),
        )
        for job in store.all(Job)
    ]
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


def _contracts(store: Store) -> Markup:
    rows = [_contract(store, each) for each in reversed(store.all(Contract)[-LATEST:])]
    columns = ("Trainer", "Job", "State", "Work Email", "Budget, usage", "Actions")
    empty = "No contracts yet: hire a trainer above."
    return section("contracts", "Contracts", table("Contracts", columns, rows, empty))


def _contract(store: Store, contract: Contract) -> Markup:
    freelancer = store.get(Freelancer, contract.freelancer_id)
    budget = budget_of(store, contract)
    share = f"{number(budget.consumed_volume)} of {number(budget.funded_volume)}"
    done = f"{budget.seconds} s, {budget.tasks} tasks, {budget.labels} labels"
    fund = action(
        "fund",
        "Fund",
        field("USD", text_input("amountUsd", value="100", kind="number")),
        field("Volume", text_input("volume", value="10", kind="number", required=False)),
        section="contracts",
        contractId=contract.id,
    )
    end = action("end", "End", section="contracts", contractId=contract.id)
    return row(
        tag("strong", freelancer.display_name if freelancer else "no trainer yet"),
        contract.title,
        badge(contract.status),
        _email(store, contract, freelancer),
        join(badge(budget.state), " ", share, tag("p", done, class_="aside")),
        join(fund, end if contract.status == CONTRACT_ACTIVE else None),
    )


def _email(store: Store, contract: Contract, freelancer: Freelancer | None) -> Markup:
    if freelancer is None:
        return join("none")
    release_at = freelancer.email_release_at
    if release_at is not None and release_at <= store.clock.now():
        return tag("code", freelancer.work_email)
    release = action("release_email", "Release", section="contracts", contractId=contract.id)
    return join("held back", release)


def _installs(store: Store) -> Markup:
    rows = []
    for install in reversed(store.all(Install)):
        owner = store.get(Organization, install.organization_id)
        end = action("disconnect", "Disconnect", section="installs", installId=install.id)
        rows.append(
            row(
                tag("code", install.id),
                f"{install.app_slug} for {owner.name if owner else '?'}",
                badge(install.status),
                f"{len(install.scopes)} scopes, PII {'agreed' if install.pii_consent else 'refused'}",
                end if install.status == INSTALL_ACTIVE else None,
            )
        )
    columns = ("Install", "Of", "Status", "Granted", "Actions")
    return section(
        "installs",
        "Apps and installs",
        *(_app(each) for each in store.all(App)),
        table("Installs", columns, rows, "Not connected yet."),
        tag("p", "To reconnect, connect again: the earlier install is revoked then."),
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
    rows = []
    for link in reversed(store.all(Link)[-LATEST:]):
        job = store.get(Job, link.job_id)
        name = link.external_project_name or link.external_project_id
        mode, install = link.provisioning_mode, tag("code", link.install_id)
        rows.append(row(name, job.title if job else "no job", mode, tag("code", link.id), install))
    columns = ("Project", "Job", "Provisioning", "Link", "Install")
    empty = "No project is linked yet."
    return section("links", "Project links", table("Project links", columns, rows, empty))
