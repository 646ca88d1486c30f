"""The same host with an API of its own, for the same sessions: its URLs."""

from __future__ import annotations

from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from tests import urls


class OwnSerializer(Serializer[None]):
    """Nothing."""


class Own(APIView):
    """What a host describes of its own."""

    authentication_classes = [SessionAuthentication]
    serializer_class = OwnSerializer

    def get(self, request: Request) -> Response:
        return Response({})


urlpatterns = [*urls.urlpatterns, path("own/", Own.as_view())]
