"""The parts of the pages that a site can close: ``OPENTRAIN["PAGES"]`` names those that are open."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, reverse

from django_opentrain.conf import CUSTOMER_PAGES, conf


def is_open(part: str) -> bool:
    """Whether this part of the pages is open on this site."""
    return part in conf.pages


def home_url() -> str:
    """Where a customer goes next: their page, or where that is closed, the site's own."""
    return reverse("opentrain:home") if is_open(CUSTOMER_PAGES) else f"{conf.public_url}/"


def closable(part: str, *patterns: URLPattern) -> list[URLPattern]:
    """These pages, which don't exist while the part is closed. Their names can be reversed in any case."""
    return [
        URLPattern(each.pattern, _closable(part, each.callback), each.default_args, each.name)
        for each in patterns
    ]


def _closable(part: str, view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @wraps(view)
    def page(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not is_open(part):
            raise Http404
        return view(request, *args, **kwargs)

    return page
