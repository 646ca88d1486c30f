"""What a customer can do on their pages. Each action is a POST; those that remove something ask first."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from django_opentrain.adapters import get_adapter
from django_opentrain.errors import EXPECTED
from django_opentrain.models import (
    AccessGrant,
    DailyUsage,
    Install,
    ProjectLink,
    UsageObjection,
    WebhookEndpoint,
)
from django_opentrain.platform.errors import NotFound, OpenTrainError
from django_opentrain.services import connect, endpoints, linking, reconcile, usage
from django_opentrain.services.access import bindings, grants, invitations
from django_opentrain.web.customers import of, parameters
from django_opentrain.web.decorators import customer_page, owned
from django_opentrain.web.error_pages import add_error, error_page
from django_opentrain.web.forms import LinkForm, LinkSettingsForm
from django_opentrain.web.notices import redirect_with_notice
from django_opentrain.web.presenters.projects import project_rows
from django_opentrain.web.views.home import page


def attempt(
    request: HttpRequest,
    action: Callable[[], object],
    done: str,
    *,
    to: str | None = None,
    install: int | None = None,
) -> HttpResponse:
    """Do it, and redirect to the page that says so; or show why it could not be done."""
    try:
        action()
    except EXPECTED as error:
        return error_page(request, error, back=to)
    return redirect_with_notice(
        done, to, **({} if install is None else {"install": install}), **parameters(request)
    )


# The connection -------------------------------------------------------------------------------


@customer_page("POST", whose=of(Install))
def verify(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Ask OpenTrain whether the connection works."""
    install = owned(Install.objects.all(), tenant, pk)
    return attempt(request, lambda: connect.verify(install), "verified", install=pk)


@customer_page("GET", "POST", whose=of(Install))
def disconnect(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """End the connection, after asking."""
    install = owned(Install.objects.all(), tenant, pk)
    if request.method == "POST":
        return attempt(request, lambda: connect.disconnect(install), "disconnected")
    affected = AccessGrant.objects.wanted().filter(contract__install=install)
    context = {"install": install, "trainers": affected.values("participant").distinct().count()}
    return render(request, "opentrain/disconnect.html", context)


@customer_page("GET", "POST", whose=of(Install))
def confirm_removals(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Confirm the removals that were held because they are unusually many."""
    install = owned(Install.objects.all(), tenant, pk)
    if request.method == "POST":
        return attempt(request, lambda: reconcile.confirm_removals(install), "removals-confirmed", install=pk)
    return render(request, "opentrain/removals.html", {"install": install})


# Projects -------------------------------------------------------------------------------------


@customer_page("POST", whose=of(Install))
def link(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Link a project to a job."""
    install = owned(Install.objects.all(), tenant, pk)
    rows = project_rows(install, list(get_adapter().list_projects(tenant)))
    form = LinkForm([row.project for row in rows if row.project], request.POST)
    if not form.is_valid():
        return page(request, tenant, str(pk), form, status=400)
    try:
        made = linking.link(
            install,
            form.cleaned_data["project"],
            job_id=form.cleaned_data["job_id"] or None,
            provisioning_mode=form.cleaned_data["provisioning_mode"],
        )
    except EXPECTED as error:
        if isinstance(error, NotFound) and form.cleaned_data["job_id"]:
            form.add_error(
                "job_id", _("OpenTrain doesn't know this job. Copy its id from the job's page there.")
            )
            return page(request, tenant, str(pk), form, status=error.http_status)
        return page(request, tenant, str(pk), form, status=add_error(form, error))
    done = "linked" if made.status == ProjectLink.Status.ACTIVE else "link-pending"
    return redirect_with_notice(done, install=pk)


@customer_page("GET", "POST", whose=of(ProjectLink))
def unlink(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Remove a link, after asking."""
    row = owned(ProjectLink.objects.live().select_related("install"), tenant, pk)
    if request.method == "POST":
        return _unlink(request, row)
    affected = AccessGrant.objects.wanted().filter(link=row)
    return render(request, "opentrain/unlink.html", {"link": row, "trainers": affected.count()})


def _unlink(request: HttpRequest, row: ProjectLink) -> HttpResponse:
    """Access ends in any case; notifying OpenTrain may have to wait."""
    try:
        linking.unlink(row)
    except OpenTrainError:
        done = "unlink-pending"
    else:
        done = "unlinked"
    return redirect_with_notice(done, install=row.install.pk)


@customer_page("GET", "POST", whose=of(ProjectLink))
def link_settings(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """A link's switches."""
    row = owned(ProjectLink.objects.live().select_related("install"), tenant, pk)
    if request.method == "POST":
        form = LinkSettingsForm(request.POST)
        form.is_valid()  # two boxes that can be ticked or not
        return attempt(
            request,
            lambda: linking.configure(row, **form.cleaned_data),
            "link-changed",
            install=row.install.pk,
        )
    switches = "stop_when_depleted", "hours_tracked_elsewhere"
    form = LinkSettingsForm(initial={name: getattr(row, name) for name in switches})
    withheld = DailyUsage.objects.filter(contract__links=row, hours_withheld=True)
    context = {"link": row, "form": form, "hours_withheld": withheld.exists()}
    return render(request, "opentrain/link_settings.html", context)


# Notifications and access ---------------------------------------------------------------------


def _endpoint(tenant: str, pk: int) -> WebhookEndpoint:
    return owned(WebhookEndpoint.objects.live().select_related("install"), tenant, pk)


@customer_page("POST", whose=of(WebhookEndpoint))
def recover(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Re-enable an endpoint."""
    endpoint = _endpoint(tenant, pk)
    return attempt(request, lambda: endpoints.recover(endpoint), "recovered", install=endpoint.install.pk)


@customer_page("POST", whose=of(WebhookEndpoint))
def rotate(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Replace an endpoint by one with a new secret; at once when the old one is ``compromised``."""
    endpoint, compromised = _endpoint(tenant, pk), "compromised" in request.POST
    return attempt(
        request,
        lambda: endpoints.rotate_secret(endpoint, compromised=compromised),
        "rotated-compromised" if compromised else "rotated",
        install=endpoint.install.pk,
    )


@customer_page("POST", whose=of(AccessGrant))
def retry(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Retry an access grant now."""
    grant = _grant(tenant, pk)
    rows = AccessGrant.objects.filter(pk=grant.pk)
    return attempt(request, lambda: grants.retry_now(rows), "retried", to=_contract_page(grant))


@customer_page("POST", whose=of(AccessGrant))
def give_again(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Give access again to a trainer who was removed by hand."""
    grant = _grant(tenant, pk)
    rows = AccessGrant.objects.filter(pk=grant.pk)
    return attempt(request, lambda: grants.give_again(rows), "given-again", to=_contract_page(grant))


@customer_page("GET", "POST", whose=of(AccessGrant))
def use_account(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Let a trainer use the account that they had before, after asking."""
    grant = _grant(tenant, pk)
    if request.method == "POST":
        account_id = request.POST.get("account", "")
        return attempt(
            request,
            lambda: bindings.bind_for_customer(grant, request.user.pk, account_id),
            "account-used",
            to=_contract_page(grant),
        )
    context = {"grant": grant, "candidate": bindings.find_candidate(grant)}
    return render(request, "opentrain/use_account.html", context)


@customer_page("POST", whose=of(AccessGrant))
def invite(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Send a trainer the link for their first login again."""
    grant = _grant(tenant, pk)
    return attempt(request, lambda: invitations.resend(grant), "invited", to=_contract_page(grant))


def _grant(tenant: str, pk: int) -> AccessGrant:
    rows = AccessGrant.objects.select_related("participant", "link__install")
    return owned(rows, tenant, pk)


def _contract_page(grant: AccessGrant) -> str:
    return reverse("opentrain:contract", kwargs={"pk": grant.contract_id})


@customer_page("POST", whose=of(UsageObjection))
def answer_objection(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Answer what a trainer objects to a day, and close it."""
    row = owned(UsageObjection.objects.all(), tenant, pk)
    to = reverse("opentrain:day", kwargs={"pk": row.contract_id, "day": row.work_date.isoformat()})
    text, by = request.POST.get("text", ""), request.user.get_username()
    return attempt(request, lambda: usage.answer(row, text, by=by), "objection-answered", to=to)
