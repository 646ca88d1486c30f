"""Settings of a host that describes its API with drf-spectacular."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - the same settings, with one more app
from tests.settings import INSTALLED_APPS, OPENTRAIN

INSTALLED_APPS = [*INSTALLED_APPS, "drf_spectacular"]
OPENTRAIN = {**OPENTRAIN, "ADAPTER": "tests.testing.hosts.GroupAdapter"}
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "django-opentrain",
    "DESCRIPTION": "The JSON API of django-opentrain, mounted at /opentrain/ on this site.",
    "VERSION": "1",
}
