"""URLs, in the namespace ``opentrain``: the pages, and below ``api/`` the API.

Include them before the host's own: some hosts end with a pattern that matches everything. A site that has the API at
another place, or not at all, includes ``web.urls`` instead.
"""

from __future__ import annotations

from django.urls import include, path, re_path

from django_opentrain.api.urls import nothing_here
from django_opentrain.api.urls import urlpatterns as api_urlpatterns
from django_opentrain.web.urls import app_name, page_urlpatterns, receiver_urlpatterns

__all__ = ["app_name", "urlpatterns"]

urlpatterns = [
    *receiver_urlpatterns,
    path("api/", include(api_urlpatterns)),
    re_path(r"^api/", nothing_here),
    *page_urlpatterns,
]
