"""What Celery beat is to run: ``app.conf.beat_schedule.update(BEAT_SCHEDULE)``.

Each message expires before the next one is due, so that none pile up while no worker runs.
"""

from __future__ import annotations

from typing import Any, Final

from celery.schedules import crontab

_MINUTE: Final = 60.0

BEAT_SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "opentrain-sweep": {
        "task": "django_opentrain.sweep",
        "schedule": 0.5 * _MINUTE,
        "options": {"expires": 25},
    },
    "opentrain-usage": {
        "task": "django_opentrain.collect_and_report_usage",
        "schedule": 15 * _MINUTE,
        "options": {"expires": 14 * _MINUTE},
    },
    "opentrain-endpoints": {
        "task": "django_opentrain.check_endpoints",
        "schedule": 10 * _MINUTE,
        "options": {"expires": 9 * _MINUTE},
    },
    "opentrain-reconcile": {
        "task": "django_opentrain.reconcile_all",
        "schedule": 60 * _MINUTE,
        "options": {"expires": 59 * _MINUTE},
    },
    "opentrain-purge": {
        "task": "django_opentrain.purge",
        "schedule": crontab(hour="3", minute="17"),
        "options": {"expires": 12 * 60 * _MINUTE},
    },
}
