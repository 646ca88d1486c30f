"""Its URLs: its own view, a view of Django REST framework's, and ours, if the site has them."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.response import Response
from rest_framework.views import APIView


@csrf_exempt
def receive(request: HttpRequest) -> HttpResponse:
    """What any receiver has to do at least, but for its INSERT."""
    return HttpResponse(status=200 if request.body else 400)


class Version(APIView):
    """The site's API."""

    def get(self, _request: object) -> Response:
        return Response({"version": 1})


urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/version/", Version.as_view()),
    path("receive/", receive),
]
if apps.is_installed("django_opentrain"):
    urlpatterns.append(path("opentrain/", include("django_opentrain.urls")))
