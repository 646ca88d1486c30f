"""Middleware of sites that don't let OpenTrain's deliveries through."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

View = Callable[[HttpRequest], HttpResponse]


def forbid_everything(get_response: View) -> View:
    """A firewall."""
    return lambda request: HttpResponse(status=403)


def crash(get_response: View) -> View:
    """A bug."""

    def middleware(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    return middleware
