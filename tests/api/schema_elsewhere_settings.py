"""Settings of a host with our API at a path of its own."""

from __future__ import annotations

from tests.api.schema_settings import *  # noqa: F403 - the same settings

ROOT_URLCONF = "tests.api.schema_elsewhere"
