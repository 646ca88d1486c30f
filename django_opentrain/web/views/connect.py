"""Connecting: the way to OpenTrain's consent screen, the return from it, and the token that is pasted here."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from django_opentrain.adapters.tenants import tenant_of_project
from django_opentrain.conf import CUSTOMER_PAGES
from django_opentrain.errors import EXPECTED, StateError
from django_opentrain.models import Install
from django_opentrain.platform.values import as_id
from django_opentrain.services import connect as service
from django_opentrain.view_decorators import open_to_anonymous
from django_opentrain.web.customers import PARAMETER, customers_of, of, with_customer
from django_opentrain.web.decorators import customer_page, owned
from django_opentrain.web.error_pages import add_error
from django_opentrain.web.forms import TokenForm
from django_opentrain.web.notices import redirect_with_notice
from django_opentrain.web.parts import home_url, is_open
from django_opentrain.web.views import setup

#: Marks a callback that our own page has reloaded.
AGAIN = "again"
#: Marks a callback that was forwarded to the customer's own host.
FORWARDED = "forwarded"
#: What OpenTrain sends back.
RETURNED = ("state", "opentrain_install_id", "external_project_id")


def _of_project(request: HttpRequest) -> str | None:
    """Unless a customer is named: two can have a project with the same id."""
    project = request.POST.get("project")
    if not project or PARAMETER in request.POST:
        return None
    return tenant_of_project(customers_of(request), project)


@customer_page("POST", whose=_of_project)
def connect(request: HttpRequest, tenant: str) -> HttpResponse:
    """Send the customer to OpenTrain's consent screen.

    A host's own page may send ``project`` (to connect for one project) and ``next`` (where to go afterwards). Its
    policy may say ``form-action 'self'``, by which browsers refuse a redirect to another site, without a word: so a
    page of ours forwards.
    """
    url = service.begin(request, request.POST.get("project"), request.POST.get("next"), tenant=tenant)
    return render(request, "opentrain/leaving.html", {"url": url})


@customer_page("POST")
def start(request: HttpRequest, tenant: str) -> HttpResponse:
    """A customer who connected from OpenTrain's side has a token and no return."""
    install = service.start_without_return(_user(request), tenant)
    return redirect("opentrain:token", pk=install.pk)


def _user(request: HttpRequest) -> AbstractBaseUser:
    """The user, who is logged in: ``customer_page`` saw to that."""
    return cast("AbstractBaseUser", request.user)


def _reroute(request: HttpRequest) -> HttpResponse | None:
    """The way to the customer's own host, or once more here with the session's cookie."""
    return _forward(request) or _bounce(request)


def _forward(request: HttpRequest) -> HttpResponse | None:
    """To the host on which the customer set out, and has their session: OpenTrain knows one host only.

    It is the adapter's answer for the tenant of a state of ours, so nothing in the request says where to. Only once:
    behind some proxies a host doesn't know its own name.
    """
    url = "" if FORWARDED in request.GET else service.customers_callback(request.GET.get("state", ""))
    if not url or urlsplit(url).netloc == request.get_host():
        return None
    query = {name: request.GET[name] for name in RETURNED if name in request.GET}
    return HttpResponseRedirect(f"{url}?{urlencode({**query, FORWARDED: '1'})}")


def _bounce(request: HttpRequest) -> HttpResponse | None:
    """Reload the callback from a page of our own.

    A session cookie with SameSite=Strict isn't sent when OpenTrain redirects the browser to us; it is when we do.
    Only once: without a session there is no cookie then either, and the visitor is sent to the login page.
    """
    has_session = request.user.is_authenticated or settings.SESSION_COOKIE_NAME in request.COOKIES
    if has_session or AGAIN in request.GET:
        return None
    query = request.GET.copy()
    query[AGAIN] = "1"
    return render(request, "opentrain/returning.html", {"url": f"{request.path}?{query.urlencode()}"})


def _of_state(request: HttpRequest) -> str | None:
    return service.tenant_of_return(_user(request), request.GET.get("state", ""))


@open_to_anonymous
@customer_page("GET", whose=_of_state, first=_reroute)
def callback(request: HttpRequest, tenant: str) -> HttpResponse:
    """The return from OpenTrain's consent screen. It never carries the token."""
    install_id = request.GET.get("opentrain_install_id", "")
    try:
        returned = service.complete_return(
            user=_user(request),
            tenant=tenant,
            state=request.GET.get("state", ""),
            opentrain_install_id=install_id,
        )
    except StateError as error:
        if not install_id:  # declined: whether the state comes back then is not documented
            return render(request, "opentrain/declined.html")
        return _repeated(tenant, install_id) or render(
            request, "opentrain/return_refused.html", {"reason": str(error)}, status=400
        )
    if returned.install is None:
        context = {"project": returned.external_project_id, "next": returned.next_url}
        return render(request, "opentrain/declined.html", context)
    return _to_token_page(returned.install, returned.next_url)


def _repeated(tenant: str, returned_id: str) -> HttpResponse | None:
    """A callback that is reloaded, or reached by the back button, redirects to where it did before."""
    install_id = as_id(returned_id)
    installs = Install.objects.filter(tenant=tenant)
    pending = (
        installs.filter(status=Install.Status.PENDING, expected_id=install_id).first() if install_id else None
    )
    if pending is not None:
        return _to_token_page(pending, "")
    known = installs.filter(opentrain_id=install_id).first() if install_id else None
    if known is not None:
        return redirect(f"{home_url()}?install={known.pk}")
    return None


def _to_token_page(install: Install, next_url: str) -> HttpResponse:
    url = reverse("opentrain:token", kwargs={"pk": install.pk})
    return HttpResponseRedirect(f"{url}?{urlencode({'next': next_url})}" if next_url else url)


@sensitive_post_parameters("token")
@customer_page("GET", "POST", whose=of(Install))
def token(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """Paste the token that OpenTrain shows once."""
    install = owned(Install.objects.all(), tenant, pk)
    if install.status != Install.Status.PENDING:
        return redirect(with_customer(request, home_url()))
    form = TokenForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                connected = service.capture_token(install, form.cleaned_data["token"])
            except EXPECTED as error:
                status = add_error(form, error)
            else:
                return _connected(request, connected)
    return render(request, "opentrain/token.html", {"install": install, "form": form}, status=status)


def _connected(request: HttpRequest, install: Install) -> HttpResponse:
    next_url = service.local_url(request.GET.get("next"))
    if next_url and not is_open(CUSTOMER_PAGES):
        return HttpResponseRedirect(next_url)
    query: dict[str, str | int] = {"install": install.pk, setup.PARAMETER: 1}
    if next_url:
        query["next"] = next_url
    return redirect_with_notice("connected", home_url(), **query)
