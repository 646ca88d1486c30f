"""The consent screen: ``/integrations/{slug}/connect``.

GET asks. POST takes the form fields ``decision`` (``approve`` or ``decline``), ``organization``
(an organization's id; the sandbox has no login) and ``pii_consent`` (a checkbox). The token is on
the page after an approval, in ``#opentrain-token``, and on no other; ``#opentrain-return`` leads back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from django_opentrain.platform import catalog
from django_opentrain.sandbox.consent import Approval, origin_of, redirect_allowed, return_url
from django_opentrain.sandbox.http import Request, Response
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.models import App, Organization
from django_opentrain.sandbox.pages.html import Markup, join, tag
from django_opentrain.sandbox.pages.layout import error_page, field, page, redirect, select

PATH = re.compile(r"/integrations/([^/]+)/connect/?")

MEANINGS = {
    catalog.PROJECT_LINKS_READ: "See which of its projects are linked to your jobs",
    catalog.PROJECT_LINKS_WRITE: "Link its projects to your jobs, and unlink them",
    catalog.CONTRACTS_READ: "See your contracts on linked jobs, and their budgets",
    catalog.PARTICIPANTS_READ: "See who works on those contracts: name, country, profile",
    catalog.PARTICIPANTS_EMAIL: "See their Work Emails",
    catalog.USAGE_WRITE: "Report the work done: time, tasks, labels",
    catalog.WEBHOOKS_MANAGE: "Receive events when contracts start and end, and when budgets run low",
}


@dataclass(frozen=True)
class _Question:
    """What the deep link asks for."""

    app: App
    redirect_uri: str | None
    state: str | None
    external_project_id: str | None

    @property
    def target_origin(self) -> str:
        return origin_of(self.redirect_uri) if self.redirect_uri else ""

    def declined(self, how: str) -> str | None:
        """Where a decline leads (see :mod:`.readings`); None: nowhere."""
        came = {"state": self.state, "external_project_id": self.external_project_id}
        ways: dict[str, dict[str, str | None]] = {
            "parameters": came,
            "error": {"error": "access_denied", **came},
            "bare": {},
        }
        return return_url(self.redirect_uri, ways[how]) if how in ways else None


def consent_page(market: Marketplace, slug: str, request: Request) -> Response:
    """Ask, or take the answer."""
    app = market.store.get(App, slug)
    if app is None:
        text = f"No platform app has the slug {slug} here. To have one, start the sandbox with --app-slug {slug}."
        return error_page(404, "Unknown app", text)
    if not app.active:
        return error_page(403, "App not active", f"{app.name} can't be connected at present.")
    values = parse_qs(request.query)
    question = _Question(
        app=app,
        redirect_uri=_first(values, "redirect_uri"),
        state=_first(values, "state"),
        external_project_id=_first(values, "external_project_id"),
    )
    if question.redirect_uri is not None and not redirect_allowed(app, question.redirect_uri):
        return error_page(
            400,
            "Redirect refused",
            f"redirect_uri is not under one that {app.name} has registered: same origin, and "
            "a path below the registered one.",
        )
    if request.method in {"GET", "HEAD"}:
        return _ask(question, market.store.all(Organization))
    return _answer(market, question, request)


def _first(values: dict[str, list[str]], key: str) -> str | None:
    return values[key][0] if key in values else None


def _answer(market: Marketplace, question: _Question, request: Request) -> Response:
    form = parse_qs(request.body.decode("utf-8", errors="replace"))
    decision, organization_id = _first(form, "decision"), _first(form, "organization")
    if decision == "decline":
        back = question.declined(market.store.readings.decline)
        return redirect(back) if back else _declined(question.app)
    organization = market.store.get(Organization, organization_id)
    if decision != "approve" or organization is None:
        return error_page(400, "Nothing decided", "Choose an organization, and approve or decline.")
    asked_for_email = catalog.PARTICIPANTS_EMAIL in question.app.scopes
    approval = market.approve(
        organization_id=organization.id,
        app_slug=question.app.slug,
        pii_consent=asked_for_email and "pii_consent" in form,
        redirect_uri=question.redirect_uri,
        state=question.state,
        external_project_id=question.external_project_id,
    )
    return _token_page(question.app, organization, approval)


def _ask(question: _Question, organizations: list[Organization]) -> Response:
    app = question.app
    asked = [MEANINGS[scope] for scope in app.scopes if scope in MEANINGS]
    choice = select("organization", [(each.id, each.name) for each in organizations])
    project = question.external_project_id
    about = tag("p", "For the project ", tag("code", project), ".") if project else None
    form = tag(
        "form",
        field("Organization", choice),
        _pii_box(app) if catalog.PARTICIPANTS_EMAIL in app.scopes else None,
        tag(
            "p",
            tag("button", "Approve", name="decision", value="approve", class_="primary"),
            tag("button", "Decline", name="decision", value="decline"),
            class_="decide",
        ),
        method="post",
    )
    intro = f"{app.name} asks for access to your organization on OpenTrain. It will be able to:"
    return page(
        f"Connect {app.name}",
        tag("h1", f"Connect {app.name}"),
        join(about, tag("p", intro)),
        tag("ul", *(tag("li", text) for text in asked), class_="scopes"),
        form,
        form_target=question.target_origin,
    )


def _pii_box(app: App) -> Markup:
    return tag(
        "label",
        tag("input", type="checkbox", name="pii_consent", value="on"),
        tag(
            "span",
            f"I agree that {app.name} receives personal data: the Work Emails of the AI trainers "
            "whom I hire. Without this it can't create their accounts.",
        ),
        class_="check",
    )


def _token_page(app: App, organization: Organization, approval: Approval) -> Response:
    back = approval.return_url
    return page(
        "Approved",
        tag("h1", f"{app.name} is connected to {organization.name}"),
        tag("p", f"Copy this token and paste it into {app.name}. It is shown only now."),
        tag("p", tag("code", approval.token, id="opentrain-token"), class_="token"),
        tag("p", "Lost it? Connect again: that makes a new token and ends this one."),
        tag("p", tag("a", f"Return to {app.name}", href=back, id="opentrain-return", class_="go"))
        if back
        else tag("p", f"You can close this page and go back to {app.name}."),
    )


def _declined(app: App) -> Response:
    return page("Declined", tag("h1", "Declined"), tag("p", f"{app.name} got no access."))
