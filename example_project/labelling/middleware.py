"""Headers for every page."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse

from django_opentrain.adapters import conf


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Only our own files, nothing inline. A form may redirect to OpenTrain, as connecting does."""
    opentrain = urlsplit(conf.base_url)
    policy = "; ".join(
        [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",  # the timer's
            f"form-action 'self' {opentrain.scheme}://{opentrain.netloc}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
    )

    def with_policy(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return with_policy
