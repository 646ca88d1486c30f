"""URLs of the example. OpenTrain's come first, as they should where a site ends with a pattern for everything."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.contrib.staticfiles.views import serve
from django.urls import include, path, re_path

from example_project.labelling import views

urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("admin/", admin.site.urls),
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("", views.projects, name="projects"),
    path("projects/<int:pk>/", views.project, name="project"),
    path("projects/<int:pk>/label/", views.label, name="label"),
    # Good enough for an example: a real site lets its web server or WhiteNoise serve these.
    re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True}),
]
