"""Waits of minutes and hours become seconds: the order of things stays, the run gets shorter."""

from __future__ import annotations

import os
from datetime import timedelta
from types import ModuleType
from typing import Final

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    name = "tests.chaos.site"
    label = "chaos"

    def ready(self) -> None:
        """Shorten what a run can't wait for."""
        for module, name, value in _shortened():
            if not hasattr(module, name):
                raise AttributeError(f"{module.__name__} has no {name} any more")
            setattr(module, name, value)


def _shortened() -> list[tuple[ModuleType, str, object]]:
    # The models are there only once the apps are.
    from django_opentrain import tasks
    from django_opentrain.adapters import mail
    from django_opentrain.models import installs
    from django_opentrain.services import endpoints
    from django_opentrain.services.access import attempts
    from django_opentrain.services.usage import reporting
    from django_opentrain.services.workers import locks, retries

    return [
        (retries, "FIRST_RETRY_SECONDS", 0.5),
        (retries, "LONGEST_RETRY_SECONDS", 4),
        (attempts, "EMAIL_RETRY_MINUTES", (1 * SECOND, 1 * SECOND, 2 * SECOND, 2 * SECOND)),
        (attempts, "LATER_EMAIL_RETRY_MINUTES", 3 * SECOND),
        (installs, "DEFAULT_PAUSE_SECONDS", 3),
        (endpoints, "RETIREMENT", timedelta(seconds=15)),
        (installs, "REFUSAL_GRACE", timedelta(seconds=15)),
        # Longer than the longest call, as in earnest: there are fewer and shorter attempts here (settings.py).
        (locks, "LEASE", timedelta(seconds=20)),
        (locks, "CALL_LEASE", timedelta(seconds=4)),
        (mail, "MAX_SECONDS", float(os.environ.get("CHAOS_MAIL_SECONDS", "2"))),
        # Shorter than the usage task's expiry, as in earnest: long sweeps in all processes would keep it out.
        (tasks, "MAX_SWEEP_SECONDS", 5),
        (reporting, "LATEST_EFFECT", timedelta(seconds=6)),
    ]


#: In minutes.
SECOND: Final = 1 / 60
