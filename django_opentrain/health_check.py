"""A check for django-health-check 4: ``HealthCheckView.as_view(checks=["django_opentrain.health_check.…"])``.

Imported only by sites that have that package.
"""

from __future__ import annotations

from dataclasses import dataclass

from health_check.base import HealthCheck  # type: ignore[import-untyped] # it has no py.typed
from health_check.exceptions import (  # type: ignore[import-untyped] # it has no py.typed
    ServiceUnavailable,
    ServiceWarning,
)

from django_opentrain.services.health import pulse


@dataclass
class OpenTrainHealthCheck(HealthCheck):  # type: ignore[misc] # its base is untyped
    """Whether OpenTrain's events are processed here: the same as the URL ``health/`` reports."""

    def run(self) -> None:
        """Raises ``ServiceUnavailable`` while nothing runs on schedule, ``ServiceWarning`` if events wait or fail."""
        now = pulse()
        if not now.swept_lately:
            raise ServiceUnavailable("No sweep of django-opentrain has run recently: run opentrain_doctor.")
        if not now.healthy:
            raise ServiceWarning("Events from OpenTrain wait to be processed, or fail: run opentrain_doctor.")
