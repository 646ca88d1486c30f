"""The schedule for Celery beat: ``app.conf.beat_schedule.update(BEAT_SCHEDULE)``.

Each task says itself when its messages expire (``tasks.py``), so that they pile up under no scheduler.
"""

from __future__ import annotations

from typing import Any, Final

from celery.schedules import crontab

__all__ = ["BEAT_SCHEDULE"]

_MINUTE: Final = 60.0

BEAT_SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "opentrain-sweep": {
        "task": "django_opentrain.sweep",
        "schedule": 0.5 * _MINUTE,
    },
    "opentrain-usage": {
        "task": "django_opentrain.collect_and_report_usage",
        "schedule": 15 * _MINUTE,
    },
    "opentrain-endpoints": {
        "task": "django_opentrain.check_endpoints",
        "schedule": 10 * _MINUTE,
        "kwargs": {"doubtful": True},
    },
    "opentrain-reconcile": {
        "task": "django_opentrain.reconcile_all",
        "schedule": 10 * _MINUTE,
        "kwargs": {"in_turns": True},
    },
    "opentrain-purge": {
        "task": "django_opentrain.purge",
        "schedule": crontab(hour="3", minute="17"),
    },
}
