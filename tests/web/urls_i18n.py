"""A host that has everything under a language prefix."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path

urlpatterns = i18n_patterns(path("opentrain/", include("django_opentrain.urls")))
