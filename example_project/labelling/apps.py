"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class LabellingConfig(AppConfig):
    """``example_project.labelling`` in ``INSTALLED_APPS``."""

    name = "example_project.labelling"
    default_auto_field = "django.db.models.BigAutoField"
