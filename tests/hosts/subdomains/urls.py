"""The same URLs on each host, OpenTrain's included: returns and deliveries arrive at the public one."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.urls import include, path
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from tests.hosts.subdomains import views

urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("accounts/login/", LoginView.as_view(template_name="subdomains/login.html"), name="login"),
    path("projects/", views.create_project),
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/projects/<int:pk>/", views.ProjectAPI.as_view()),
]
