"""Settings of such a host with an API of its own, for the same sessions."""

from __future__ import annotations

from tests.api.schema_settings import *  # noqa: F403 - the same settings

ROOT_URLCONF = "tests.api.schema_urls"
