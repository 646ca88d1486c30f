"""URLs of that site."""

from __future__ import annotations

from django.urls import include, path

from tests.urls import project

urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("accounts/", include("allauth.urls")),
    path("projects/<name>/", project),
]
