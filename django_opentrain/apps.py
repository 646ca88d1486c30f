"""The app's configuration."""

from __future__ import annotations

import sys
from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from django_opentrain import checks
from django_opentrain.services.workers.wakeup import remember_celery_app


class DjangoOpenTrainConfig(AppConfig):
    """``django_opentrain`` in ``INSTALLED_APPS``."""

    name = "django_opentrain"
    label = "django_opentrain"
    verbose_name = _("OpenTrain")
    # Pinned: a host that defaults to AutoField would otherwise be missing a migration of ours.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        remember_celery_app()
        checks.register()
        if "celery" in sys.modules:
            import_module("django_opentrain.task_loading")
        import_module("django_opentrain.adapters.observers").connect()
