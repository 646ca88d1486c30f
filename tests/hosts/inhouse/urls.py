"""The site's URLs."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from tests.hosts.inhouse import views

urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("", views.home, name="home"),
    path("organizations/<int:pk>/", views.switch, name="switch"),
    path("projects/<int:pk>/", views.project, name="project"),
    path("projects/<int:pk>/label/", views.label, name="label"),
    path("api/projects/<int:pk>/", views.ProjectAPI.as_view(), name="project-api"),
]
