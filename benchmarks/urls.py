"""The receiver, and the floor that it is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.db import connection
from django.http import HttpResponse
from django.urls import include, path
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt

if TYPE_CHECKING:
    from django.http import HttpRequest


#: A table with the inbox's columns: what is measured is what we do around the same statement.
TABLE = "benchmark_floor"
COLUMNS = "endpoint, digest, delivery_id, event_id, type, resource_id, job_id, body, received_at"
INSERT = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"


@csrf_exempt
def floor(request: HttpRequest, key: UUID) -> HttpResponse:
    """What any receiver has to do at least: read the body, one raw INSERT of the row, answer.

    About even: its two random ids cost it 10 µs of CPU of 265, and the site's ``include()`` costs ours 8. Our table's
    indexes cost ours 7: not themselves, which are the database's, but a longer wait, with colder caches after it.
    """
    known = ("del_1", uuid4().hex, "contract.started", "ctr_1", "job_1")
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [key.hex, uuid4().hex, *known, request.body, now()])
    return HttpResponse(status=200)


urlpatterns = [
    path("floor/<uuid:key>/", floor),
    path("opentrain/", include("django_opentrain.urls")),
]
