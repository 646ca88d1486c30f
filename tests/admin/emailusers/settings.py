"""The test site's settings, with other users."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - settings are extended so
from tests.settings import DATABASE_SERVERS, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.admin.emailusers"]
AUTH_USER_MODEL = "emailusers.EmailUser"
DATABASES = {"default": DATABASE_SERVERS["sqlite"]}
