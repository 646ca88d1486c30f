"""A bare site for measuring: no middleware, PostgreSQL where it is there, else a file of SQLite's."""

from __future__ import annotations

import logging
import os

from tests.settings import *  # noqa: F403 - the tests' site, with less around it
from tests.settings import DATABASE_SERVERS, INSTALLED_APPS
from tests.settings import MIDDLEWARE as DEFAULT_MIDDLEWARE

MIDDLEWARE = DEFAULT_MIDDLEWARE if os.environ.get("BENCHMARK_MIDDLEWARE") == "default" else []
# A host whose rows are compared with the work ledger.
INSTALLED_APPS = [*INSTALLED_APPS, "example_project.labelling"]
ROOT_URLCONF = "benchmarks.urls"
SERVER = DATABASE_SERVERS[os.environ.get("BENCHMARK_DATABASE", "postgresql")]
DATABASES = {
    "default": {
        **SERVER,
        # What a benchmark's own processes use: the database that it has made.
        "NAME": os.environ.get("BENCHMARK_NAME", SERVER["NAME"]),
        "CONN_MAX_AGE": None,
        "TEST": {"NAME": f"benchmark_opentrain_{os.getpid()}"},
    }
}
if os.environ.get("BENCHMARK_POOL"):
    DATABASES["default"] |= {"CONN_MAX_AGE": 0, "OPTIONS": {**SERVER.get("OPTIONS", {}), "pool": True}}
LOGGING_CONFIG = None
# Each forged request is logged: that is measured, too, but not printed.
logging.getLogger().addHandler(logging.NullHandler())
