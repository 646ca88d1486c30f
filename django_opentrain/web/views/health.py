"""Health, for a load balancer or a monitor: cheap, and without a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import Error as AnyDatabaseError
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_opentrain.services.health import pulse
from django_opentrain.view_decorators import never_atomic, open_to_anonymous

if TYPE_CHECKING:
    from django.http import HttpRequest


@open_to_anonymous
@never_atomic
@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 while this process can store deliveries; ``status`` says whether they are processed, too.

    Without workers it is "degraded" and still 200: if a load balancer removed the web processes, deliveries would be
    lost that are now only delayed. 503 if the database can't be queried.
    """
    try:
        now = pulse()
    except AnyDatabaseError:
        return JsonResponse({"status": "down"}, status=503)
    return JsonResponse(
        {
            "status": "ok" if now.healthy else "degraded",
            "sweepAgeSeconds": _whole(now.sweep_age),
            "backlogAgeSeconds": _whole(now.backlog_age),
            "conditions": now.conditions,
        }
    )


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)
