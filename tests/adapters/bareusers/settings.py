"""The test site's settings, with other users."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - settings are extended so
from tests.settings import DATABASE_SERVERS, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.adapters.bareusers"]
AUTH_USER_MODEL = "bareusers.BareUser"
DATABASES = {"default": DATABASE_SERVERS["sqlite"]}
