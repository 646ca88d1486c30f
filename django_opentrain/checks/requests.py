"""The path of a delivery to the receiver: URLs, middleware, proxies. And time zones, and the login page."""

from __future__ import annotations

import inspect
import re
import uuid
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, get_script_prefix, is_valid_path, resolve, reverse
from django.utils.module_loading import import_string
from django.utils.translation import override

from django_opentrain.checks.messages import CheckId, configured, message, value_of
from django_opentrain.constraints import split_url

RECEIVER: Final = "django_opentrain.web.views.receiver.receive"
SECURITY_MIDDLEWARE: Final = "django.middleware.security.SecurityMiddleware"
#: Usual names of middleware that require a login or a CSRF token for every URL.
_GATE_MIDDLEWARE: Final = re.compile(
    r"(login|auth\w*)_?required|(require|force|enforce)s?_?login|(?<!disable)csrf", re.IGNORECASE
)
#: These exempt views that are marked, as the receiver is.
_POLITE_MIDDLEWARE: Final = (
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "login_required.middleware.LoginRequiredMiddleware",
)


def check_requests(**_options: Any) -> list[CheckMessage]:
    """Whether a POST from OpenTrain can reach the receiver, and people the login page."""
    if not configured():
        return []
    return [*_clock(), *_proxy_header(), *_prefix(), *_receiver(), *_login_page()]


#: `USE_TZ` is `False`, which is not supported: OpenTrain's times have a zone, a database without zones would
#: shift them, and what compares them fails, such as a reconnect. Set `USE_TZ = True`; the rest of your site
#: keeps `TIME_ZONE` for what it shows.
E026: Final = CheckId("E026")


def _clock() -> Iterator[CheckMessage]:
    if not settings.USE_TZ:
        yield message(E026, "USE_TZ is False.", "OpenTrain's times have a zone; set USE_TZ = True.")


#: `SECURE_PROXY_SSL_HEADER` is not spelled as WSGI spells headers, or its value is not what a proxy sends
#: (`https`, in lower case). No request counts as secure then, and the HTTPS redirect loops. Set it to
#: `("HTTP_X_FORWARDED_PROTO", "https")`.
E027: Final = CheckId("E027")


def _proxy_header() -> Iterator[CheckMessage]:
    header: Any = settings.SECURE_PROXY_SSL_HEADER
    if header is None:
        return
    if not _can_match(header):
        text = "SECURE_PROXY_SSL_HEADER is not what a proxy sends: no request from it counts as secure."
        yield message(E027, text, "It takes WSGI's spelling: ('HTTP_X_FORWARDED_PROTO', 'https').")


def _can_match(header: object) -> bool:
    if not isinstance(header, (list, tuple)) or len(header) != 2:
        return False
    name, value = header
    spelled = isinstance(name, str) and re.fullmatch(r"HTTP_[A-Z0-9_]+", name)
    return bool(spelled) and isinstance(value, str) and (not name.endswith("_PROTO") or value == "https")


#: `FORCE_SCRIPT_NAME` and the path in `PUBLIC_URL` differ. The URLs that OpenTrain and browsers get are made
#: from `PUBLIC_URL` in every process, web or worker: let it end in that path, and not in the one at which
#: your URLconf includes ours, which is added to it. A path that only your server knows (`SCRIPT_NAME`) can't
#: be seen by a check: then *Connect* says it.
E032: Final = CheckId("E032")


def _prefix() -> Iterator[CheckMessage]:
    """What only the server knows is seen with the first customer's request: ``connect.begin``."""
    forced, path = settings.FORCE_SCRIPT_NAME, _public_path()
    if forced and path != forced.rstrip("/"):
        text = f"FORCE_SCRIPT_NAME is {forced!r}, and PUBLIC_URL doesn't end in it."
        yield message(
            E032,
            text,
            "OpenTrain's and the browsers' URLs are made from PUBLIC_URL: let it end in that path.",
        )


def _public_path() -> str:
    parts = split_url(value_of("PUBLIC_URL"))
    return "" if parts is None else parts.path.rstrip("/")


#: `reverse("opentrain:webhook")` fails. Include `django_opentrain.urls` in the root URLconf, without a
#: namespace of your own around it.
E023: Final = CheckId("E023")


def _receiver() -> Iterator[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None):
        return
    # As the public URLs are built: under i18n_patterns they begin with the site's own language.
    with override(settings.LANGUAGE_CODE):
        try:
            path = _in_urlconf(reverse("opentrain:webhook", kwargs={"key": uuid.UUID(int=0)}))
        except NoReverseMatch:
            text = "django_opentrain.urls is not included, or not under the namespace 'opentrain'."
            hint = 'Add path("opentrain/", include("django_opentrain.urls")) to the root URLconf, before your own.'
            yield message(E023, text, hint)
            return
        yield from _view_at(path)
    public = _public_path()
    if public and not settings.FORCE_SCRIPT_NAME and path.startswith(f"{public}/webhooks/"):
        text = f"PUBLIC_URL ends in {public!r}, which the URLconf adds for django_opentrain.urls."
        yield message(E032, text, "End it in the path below which the whole site runs, if it does.")
    yield from _gates()
    yield from _redirects(f"{_public_path()}{path}")


def _in_urlconf(path: str) -> str:
    """Without the script name, as it is resolved."""
    return f"/{path.removeprefix(get_script_prefix())}"


#: The receiver is wrapped by a decorator, such as `login_required`. OpenTrain can't log in and has no CSRF
#: token; the receiver authenticates it by its signature. Include the URLs undecorated.
E024: Final = CheckId("E024")
#: Another pattern matches the receiver's URL first. Put ours before it: some platforms end their URLconf with
#: a pattern that matches everything.
E025: Final = CheckId("E025")


def _view_at(path: str) -> Iterator[CheckMessage]:
    ours = import_string(RECEIVER)
    view = resolve(path).func
    if view is ours:
        return
    if inspect.unwrap(view) is inspect.unwrap(ours):
        text = "The webhook receiver is wrapped by a decorator."
        yield message(
            E024, text, "OpenTrain has neither a login nor a CSRF token: include the URLs undecorated."
        )
    else:
        text = f"A pattern before ours matches the webhook receiver's URL: {view.__module__} answers there."
        yield message(E025, text, "Include django_opentrain.urls before that pattern.")


#: A middleware seems to require a login or a CSRF token for every URL. Exempt the URL name
#: `opentrain:webhook` (and `opentrain:health`, if you use it). `opentrain_doctor` sends the receiver a
#: request through your middleware, and reports whether it arrives; if it does, silence this check. Django's
#: own `LoginRequiredMiddleware` and `CsrfViewMiddleware`, and django-login-required-middleware, exempt the
#: receiver automatically.
W004: Final = CheckId("W004")


def _gates() -> Iterator[CheckMessage]:
    for path in settings.MIDDLEWARE:
        name = path.rpartition(".")[2]
        if path not in _POLITE_MIDDLEWARE and _GATE_MIDDLEWARE.search(name):
            text = f"{path} seems to require a login or a CSRF token, and OpenTrain has neither."
            hint = "Exempt the URL name opentrain:webhook (opentrain_doctor tests that), then silence this check."
            yield message(W004, text, hint)


#: `SECURE_SSL_REDIRECT` is on, and `SECURE_PROXY_SSL_HEADER` isn't set. Behind a proxy that terminates TLS
#: every request seems insecure then, and is redirected; OpenTrain follows no redirect. Set the header (if
#: your proxy sets it itself on each request), exempt `^opentrain/webhooks/` with `SECURE_REDIRECT_EXEMPT`,
#: or, if Django's server terminates TLS, silence this check.
W005: Final = CheckId("W005")


def _redirects(path: str) -> Iterator[CheckMessage]:
    redirected = settings.SECURE_SSL_REDIRECT and SECURITY_MIDDLEWARE in settings.MIDDLEWARE
    exempt = any(re.search(each, path.lstrip("/")) for each in settings.SECURE_REDIRECT_EXEMPT)
    if redirected and not exempt and settings.SECURE_PROXY_SSL_HEADER is None:
        text = "SECURE_SSL_REDIRECT is on without SECURE_PROXY_SSL_HEADER."
        hint = (
            "Behind a proxy that terminates TLS every delivery is redirected, which OpenTrain counts as a failure."
            " Set the header, or silence this check if the site serves TLS itself."
        )
        yield message(W005, text, hint)


#: `LOGIN_URL` is the name of no URL pattern, or a path that your URLconf doesn't have: customers who aren't
#: logged in, and trainers who have chosen their password, can't sign in. Django's default,
#: `/accounts/login/`, is a page that your site has to add. Paths that another server answers can't be seen
#: from here: if the page exists, silence this check. A login page at another host isn't checked.
W014: Final = CheckId("W014")


def _login_page() -> Iterator[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None):
        return
    with override(settings.LANGUAGE_CODE):
        try:
            url = urlsplit(resolve_url(str(settings.LOGIN_URL)))
        except NoReverseMatch:
            is_there = False
        else:
            path = _in_urlconf(url.path)
            is_there = bool(url.netloc or is_valid_path(path) or is_valid_path(f"{path}/"))
    if not is_there:
        text = f"LOGIN_URL is {str(settings.LOGIN_URL)!r}, and no such page is in the URLconf."
        hint = "Name your login page. If another server answers at this path, silence this check."
        yield message(W014, text, hint)
