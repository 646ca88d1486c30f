"""Metrics, for Prometheus and what else reads OpenMetrics."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_opentrain.conf import conf
from django_opentrain.services.metrics import snapshot
from django_opentrain.view_decorators import never_atomic, open_to_anonymous

PERMISSION = "django_opentrain.view_counter"


@open_to_anonymous
@never_atomic
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For those who send ``METRICS_TOKEN``, and for users with the permission. 404 on a site without that token."""
    if not conf.metrics_token:
        raise Http404
    if not _may_read(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    # Loaded only here: prometheus-client is an extra.
    from django_opentrain.web.presenters.exposition import render  # noqa: PLC0415

    content, content_type = render(snapshot(), request.headers.get("Accept", ""))
    return HttpResponse(content, content_type=content_type)


def _may_read(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "")
    if given:
        return constant_time_compare(given, f"Bearer {conf.metrics_token}")
    user: Any = request.user
    return bool(user.has_perm(PERMISSION))
