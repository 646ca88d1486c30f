"""The example's settings, for a site on which everything goes wrong."""

from __future__ import annotations

import os

import django

from example_project import settings as example
from example_project.settings import *  # noqa: F403 - the same site

INSTALLED_APPS = [*example.INSTALLED_APPS, "tests.chaos.site"]

DATABASES = {
    "default": {
        **example.DATABASES["default"],
        # As most sites in production: a connection lives longer than a request, and may be dead by the next one.
        "CONN_MAX_AGE": 20,
    }
}
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 3}

OPENTRAIN = {
    **example.OPENTRAIN,
    "ADAPTER": os.environ.get("CHAOS_ADAPTER", "tests.chaos.site.adapter.UnreliableAdapter"),
    "CONNECT_TIMEOUT": 2,
    "READ_TIMEOUT": 3,
    "MAX_RETRIES": 2,
}

# Messages come again after a crash, and Redis' also while the first one is still being worked on.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
if example.CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 5}

# A mail server, in place of files: one can be silent.
SMTP = "django.core.mail.backends.smtp.EmailBackend"
if port := os.environ.get("CHAOS_MAIL_PORT"):
    if django.VERSION >= (6, 1):
        MAILERS = {"default": {"BACKEND": SMTP, "OPTIONS": {"host": "127.0.0.1", "port": int(port)}}}
    else:
        EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = SMTP, "127.0.0.1", int(port)

if limit := os.environ.get("CHAOS_TIME_LIMIT"):
    # Seconds, in place of our tasks' minutes.
    CELERY_TASK_ANNOTATIONS = {"*": {"soft_time_limit": int(limit), "time_limit": int(limit) + 2}}

LOGGING = {**example.LOGGING, "root": {"handlers": ["console"], "level": "INFO"}}
