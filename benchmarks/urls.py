"""The receiver, and the floor that it is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection
from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

if TYPE_CHECKING:
    from django.http import HttpRequest


@csrf_exempt
def floor(request: HttpRequest, key: UUID) -> HttpResponse:
    """What any receiver has to do at least: read the body, one raw INSERT, answer."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO benchmark_floor (endpoint, body) VALUES (%s, %s)", [key.hex, request.body]
        )
    return HttpResponse(status=200)


urlpatterns = [
    path("floor/<uuid:key>/", floor),
    path("opentrain/", include("django_opentrain.urls")),
]
