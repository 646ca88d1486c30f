"""URLs of that site."""

from __future__ import annotations

from django.urls import include, path
from django.utils.module_loading import import_string
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.urls import project

KNOX = import_string("knox.auth.TokenAuthentication")


class Whoami(APIView):
    """Says who is logged in, by session or by either kind of token."""

    authentication_classes = (TokenAuthentication, KNOX, SessionAuthentication)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        return Response(request.user.pk)


urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("accounts/", include("allauth.urls")),
    path("projects/<name>/", project),
    path("whoami/", Whoami.as_view()),
]
