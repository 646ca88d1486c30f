"""URLs of a host with pages of ours, and our API at a path of its own, for its own tokens."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.authentication import TokenAuthentication

from django_opentrain.api.urls import api_urls
from tests import urls


class Tokens:
    """The host's policy."""

    authentication_classes = [TokenAuthentication]


urlpatterns = [
    path("opentrain/", include("django_opentrain.web.urls")),
    path("api/v1/opentrain/", include((api_urls(Tokens), "opentrain_api"))),
    *(each for each in urls.urlpatterns if str(each.pattern) != "opentrain/"),
]
