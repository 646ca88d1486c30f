"""What such a host describes of its own: the URLs of its own API."""

from __future__ import annotations

from django.urls import path
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class OwnSerializer(serializers.Serializer[None]):
    """Fields with the names of ours, and choices and defaults of their own."""

    code = serializers.ChoiceField(["RED", "GREEN"], default="RED")
    desired = serializers.ChoiceField(["MORE", "LESS"])
    kind = serializers.ChoiceField(["CAR", "BOAT"])
    state = serializers.ChoiceField(["WET", "DRY"])
    status = serializers.ChoiceField(["NEW", "OLD"])


class Own(APIView):
    """A host's view."""

    authentication_classes = [SessionAuthentication]
    serializer_class = OwnSerializer

    def post(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("own/", Own.as_view())]
