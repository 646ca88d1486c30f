"""Waits of minutes and hours become seconds: the order of things stays, the run gets shorter."""

from __future__ import annotations

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
    from django_opentrain import clients
    from django_opentrain.services import access, endpoints
    from django_opentrain.services.connect import refused_installs
    from django_opentrain.services.workers import locks

    return [
        (access, "FIRST_RETRY_SECONDS", 0.5),
        (access, "LONGEST_RETRY_SECONDS", 4),
        (access, "EMAIL_RETRY_MINUTES", (1 * SECOND, 1 * SECOND, 2 * SECOND, 2 * SECOND)),
        (access, "LATER_EMAIL_RETRY_MINUTES", 3 * SECOND),
        (clients, "DEFAULT_PAUSE_SECONDS", 3),
        (endpoints, "RETIREMENT", timedelta(seconds=15)),
        (refused_installs, "REFUSAL_GRACE", timedelta(seconds=15)),
        # Longer than the longest call, as in earnest: there are fewer and shorter attempts here (settings.py).
        (locks, "LEASE", timedelta(seconds=20)),
    ]


#: In minutes.
SECOND: Final = 1 / 60
