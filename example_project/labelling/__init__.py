"""A tiny annotation platform: teams have projects, projects have texts, trainers label them."""

from __future__ import annotations

# So that the web processes, too, publish to this app's broker.
from example_project.celery import app as celery_app

__all__ = ["celery_app"]
