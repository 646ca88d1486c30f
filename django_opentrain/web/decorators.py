"""Decorators of every page: who may see it, and what a browser may do with it.

Nothing here relies on the host's middleware: some platforms disable CSRF checks for the whole site, and send
neither X-Frame-Options nor a content security policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db.models import BigIntegerField, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render, resolve_url
from django.template.response import SimpleTemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_opentrain import languages
from django_opentrain.adapters import get_adapter
from django_opentrain.adapters.tenants import refusal_of
from django_opentrain.conf import conf
from django_opentrain.errors import EXPECTED
from django_opentrain.view_decorators import keep_csrf_checks, never_atomic
from django_opentrain.web.customers import TENANTS, Whose, ask_whether_manager, customer_of
from django_opentrain.web.error_pages import error_page
from django_opentrain.web.parts import home_url
from django_opentrain.web.trainers import Trainer, trainer_of

P = ParamSpec("P")
M = TypeVar("M", bound=Model)

View = Callable[..., HttpResponseBase]
#: A view of a customer's page: the request, then the tenant for whom its user acts.
CustomerView = Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]
#: A view of a trainer's page: the request, then its user as a trainer.
TrainerView = Callable[Concatenate[HttpRequest, Trainer, P], HttpResponseBase]


#: Only our own files, no inline code or style.
_POLICY: Final[Mapping[str, Sequence[str]]] = {
    "default-src": ["'none'"],
    "style-src": ["'self'"],
    "script-src": ["'self'"],
    "img-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}


def _send_policy(response: HttpResponseBase) -> None:
    """Ours, with the site's own directives in the place of ours; none where the site's middleware sends one."""
    changes = conf.content_security_policy
    if changes is not None:
        policy = {**_POLICY, **changes}
        response["Content-Security-Policy"] = "; ".join(
            " ".join([directive, *sources]) for directive, sources in policy.items()
        )


def in_one_language(view: View) -> View:
    """All of a page is in one language of ours, also what Django says in it."""

    @wraps(view)
    def speaking(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        with languages.speaking() as language:
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()
        response.headers.setdefault("Content-Language", language)
        return response

    return speaking


def protected(view: View) -> View:
    """One language, CSRF checks, no framing, no caching, no leaking referrer, a strict content security policy."""
    in_language = in_one_language(view)

    @wraps(view)
    def with_headers(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response = in_language(request, *args, **kwargs)
        _send_policy(response)
        response["X-Frame-Options"] = "DENY"
        response["X-Content-Type-Options"] = "nosniff"
        # Not "no-referrer": Django's CSRF check over HTTPS may need it from our own pages.
        response["Referrer-Policy"] = "same-origin"
        return response

    return keep_csrf_checks(never_atomic(csrf_protect(never_cache(with_headers))))


def customer_page(
    *methods: str,
    whose: Whose | None = None,
    first: Callable[[HttpRequest], HttpResponse | None] | None = None,
    only_shows: bool = False,
) -> Callable[[CustomerView[P]], View]:
    """A page for users who manage a tenant. The view gets the tenant after the request, and may raise ``EXPECTED``.

    :param methods: the HTTP methods that it answers; HEAD comes with GET.
    :param only_shows: those who may only look can see it, too.
    :param whose: finds the tenant of what the page is about, for users who act for several.
    :param first: may answer instead of the page, before it is known who the visitor is.
    """

    def decorate(view: CustomerView[P]) -> View:
        @protected
        @require_http_methods([*methods, "HEAD"] if "GET" in methods else [*methods])
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                if first is not None and (answer := first(request)):
                    return answer
                if not request.user.is_authenticated:
                    return ask_to_log_in(request)
                if refusal := refusal_of(request):
                    return refuse(request, refusal, by_policy=True)
                tenant = customer_of(request, whose, **kwargs)
                if tenant is None:
                    return refuse(request, _("Your account doesn't belong to a customer of this site."))
                if not ask_whether_manager(request, tenant) and not (
                    only_shows and get_adapter().can_view(request, tenant)
                ):
                    return refuse(
                        request, _("Only managers of your organization's account can see this page.")
                    )
                return view(request, tenant, *args, **kwargs)
            except Http404:
                return render(request, "opentrain/not_found.html", status=404)
            except EXPECTED as error:
                return error_page(request, error)

        return guarded

    return decorate


def trainer_page(*methods: str) -> Callable[[TrainerView[P]], View]:
    """A page for trainers. The view gets the trainer after the request, and may raise ``EXPECTED``.

    :param methods: the HTTP methods that it answers; HEAD comes with GET.
    """

    def decorate(view: TrainerView[P]) -> View:
        @protected
        @require_http_methods([*methods, "HEAD"] if "GET" in methods else [*methods])
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return ask_to_log_in(request, home=reverse("opentrain:work"))
            try:
                if refusal := refusal_of(request):
                    return refuse(request, refusal, by_policy=True)
                trainer = trainer_of(request)
                if trainer is None:
                    return render(request, "opentrain/no_work.html", status=404)
                return view(request, trainer, *args, **kwargs)
            except Http404:
                return render(request, "opentrain/no_work.html", {"trainer": True}, status=404)
            except EXPECTED as error:
                return error_page(request, error, back=reverse("opentrain:work"))

        return guarded

    return decorate


def ask_to_log_in(request: HttpRequest, home: str = "") -> HttpResponse:
    """The way to the login page, and back again.

    Not a redirect for a form that was sent: our policy would stop one that goes on to another site's single
    sign-on, without a word.
    """
    is_form = request.method not in ("GET", "HEAD")
    url = login_url((home or home_url()) if is_form else request.get_full_path())
    if url and not is_form:
        return HttpResponseRedirect(url)
    return render(request, "opentrain/signed_out.html", {"login_url": url}, status=403)


def login_url(following: str = "") -> str | None:
    """The login page, which leads to ``following``; None where ``LOGIN_URL`` is the name of no page."""
    try:
        url = resolve_url(str(settings.LOGIN_URL))
    except NoReverseMatch:
        return None
    return redirect_to_login(following, url).url if following else url


def refuse(request: HttpRequest, reason: str, *, by_policy: bool = False) -> HttpResponse:
    """A page that says why this user may not see the one they asked for. ``by_policy``: no other person can help."""
    context = {"reason": reason, "by_policy": by_policy}
    return render(request, "opentrain/refused.html", context, status=403)


def owned(rows: QuerySet[M], tenant: str, pk: int) -> M:
    """The tenant's own row; another tenant's is not found."""
    if pk > BigIntegerField.MAX_BIGINT:
        # Before Django 5.0 the database itself is asked, and refuses.
        raise Http404
    return get_object_or_404(rows, **{"pk": pk, TENANTS[rows.model]: tenant})
