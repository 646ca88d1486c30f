"""The timer's script in a page of the host's: ``static/opentrain/timer.js``. Nothing is inline."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from django_opentrain.conf import TIMER
from django_opentrain.services.access import is_trainer
from django_opentrain.web.nonces import nonce_attribute
from django_opentrain.web.parts import is_open
from django_opentrain.web.views.assets import asset_url


def script_tag(request: HttpRequest | None, project: str | None = None) -> SafeString:
    """The tag that loads it: for a project, or for that of each path, as the adapter says."""
    named = format_html(' data-project="{}"', project) if project is not None else ""
    script, url = asset_url("timer.js"), reverse("opentrain:timer")
    nonce = nonce_attribute(request)
    return format_html('<script src="{}" data-url="{}"{}{} defer></script>', script, url, named, nonce)


def add_timer(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The page with the script, if it is one of the host's for a trainer."""
    # Not a stream.
    if not is_open(TIMER):
        return response
    if isinstance(response, HttpResponse) and _is_page(request, response) and _is_for_trainer(request):
        if asset_url("timer.js").encode() in response.content:
            return response  # by its tag, for one project
        tag = script_tag(request).encode(response.charset)
        head, body, rest = response.content.rpartition(b"</body>")
        response.content = head + tag + body + rest if body else rest + tag
        if response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
    return response


def _is_page(request: HttpRequest, response: HttpResponse) -> bool:
    ours = "opentrain" in getattr(request.resolver_match, "namespaces", ())
    is_html = response.get("Content-Type", "").startswith("text/html")
    is_plain = response.status_code == 200 and not response.has_header("Content-Encoding")
    return request.method == "GET" and is_html and is_plain and not ours


def _is_for_trainer(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_authenticated and is_trainer(user)
