"""A check for django-health-check 4: ``HealthCheckView.as_view(checks=["django_opentrain.health_check.…"])``.

Imported only by sites that have that package.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import Error as AnyDatabaseError
from django.db import connections
from health_check.base import HealthCheck  # type: ignore[import-untyped] # it has no py.typed
from health_check.exceptions import (  # type: ignore[import-untyped] # it has no py.typed
    ServiceUnavailable,
    ServiceWarning,
)

from django_opentrain.services.health import pulse
from django_opentrain.transactions import alias


@dataclass
class OpenTrainHealthCheck(HealthCheck):  # type: ignore[misc] # its base is untyped
    """Whether this process can store OpenTrain's deliveries: it fails where the URL ``health/`` answers 503.

    The view answers 500 for warnings, too, and a load balancer would remove the web processes for what workers don't
    do. ``strict=True`` is for a monitor: it also fails where that URL says "degraded".
    """

    strict: bool = False

    def run(self) -> None:
        """Raises ``ServiceUnavailable``; if strict ``ServiceWarning`` where events wait or fail."""
        try:
            # Each probe has a thread of its own, which would keep its connection.
            with connections[alias()].temporary_connection():
                now = pulse()
        except AnyDatabaseError:
            raise ServiceUnavailable(
                "The database can't be queried: OpenTrain's deliveries aren't stored."
            ) from None
        if self.strict and not now.swept_lately:
            raise ServiceUnavailable("No sweep of django-opentrain has run recently: run opentrain_doctor.")
        if self.strict and not now.healthy:
            raise ServiceWarning("Events from OpenTrain wait to be processed, or fail: run opentrain_doctor.")
