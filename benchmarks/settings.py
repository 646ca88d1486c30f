"""A bare site for measuring: no middleware, PostgreSQL where it is there, else a file of SQLite's."""

from __future__ import annotations

import logging
import os

from tests.settings import *  # noqa: F403 - the tests' site, with less around it
from tests.settings import DATABASE_SERVERS, INSTALLED_APPS

MIDDLEWARE = []
# A host whose rows are compared with the work ledger.
INSTALLED_APPS = [*INSTALLED_APPS, "example_project.labelling"]
ROOT_URLCONF = "benchmarks.urls"
DATABASES = {
    "default": {
        **DATABASE_SERVERS[os.environ.get("BENCHMARK_DATABASE", "postgresql")],
        "CONN_MAX_AGE": None,
        "TEST": {"NAME": f"benchmark_opentrain_{os.getpid()}"},
    }
}
LOGGING_CONFIG = None
# Each forged request is logged: that is measured, too, but not printed.
logging.getLogger().addHandler(logging.NullHandler())
