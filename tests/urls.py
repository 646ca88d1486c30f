"""URLs of the test site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path


def project(request: HttpRequest, name: str) -> HttpResponse:
    """A project's page, which says who is logged in."""
    return HttpResponse(f"{name}: {request.user.get_username()}")


urlpatterns: list[URLPattern | URLResolver] = [
    path("opentrain/", include("django_opentrain.urls")),
    path("accounts/login/", LoginView.as_view(template_name="admin/login.html"), name="login"),
    path("projects/<name>/", project),
    path("admin/", admin.site.urls),
]
