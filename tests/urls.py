"""URLs of the test site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("admin/", admin.site.urls),
]
