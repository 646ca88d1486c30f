"""The Celery app: ``celery -A example_project.celery worker -B``."""

from __future__ import annotations

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
# Kombu's own transport fails on a message that is still being written.
TRANSPORT_ALIASES["filesystem"] = "example_project.filesystem:Transport"

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
