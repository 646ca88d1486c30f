"""Its Celery app, as Celery's guide for Django writes it; its tasks are in modules called ``SITE_TASKS``."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.bare_site.settings")

app = Celery("bare_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name=os.environ.get("SITE_TASKS", "tasks"))
