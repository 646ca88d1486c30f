"""Celery: does it have our tasks and our schedule?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery import Celery
from django.core.checks import CheckMessage

from django_opentrain.checks.messages import configured, value_of, warning
from django_opentrain.schedule import BEAT_SCHEDULE
from django_opentrain.services.workers.wakeup import DRAIN_TASK, celery_app

#: Celery's own, which reads ``beat_schedule``. Others may keep their schedule elsewhere.
DEFAULT_SCHEDULER: Final = "celery.beat:PersistentScheduler"
SCHEDULED: Final = {str(entry["task"]) for entry in BEAT_SCHEDULE.values()}


def check_background_work(**_options: Any) -> list[CheckMessage]:
    """Only if Celery does the work. Nothing is sent: ``opentrain_doctor`` checks whether workers run."""
    if not configured() or value_of("DISPATCH") != "celery":
        return []
    app = celery_app()
    if app is None:
        text = "OPENTRAIN['DISPATCH'] is 'celery', and there is no Celery app."
        hint = "Import it in the project's __init__.py; or set DISPATCH to 'none', and run opentrain_work from cron."
        return [warning(6, text, hint)]
    return [*_tasks(app), *_beat(app)]


def _tasks(app: Celery) -> Iterator[CheckMessage]:
    # Not import_default_modules(): Celery's answer to that is to run the system checks.
    missing = sorted({DRAIN_TASK, *SCHEDULED} - set(app.tasks))
    if missing:
        text = f"The Celery app {app.main!r} lacks our tasks: {', '.join(missing)}."
        hint = "Make sure that nothing unregisters them: they are shared tasks of django_opentrain.tasks."
        yield warning(7, text, hint)


def _beat(app: Celery) -> Iterator[CheckMessage]:
    if app.conf.beat_scheduler != DEFAULT_SCHEDULER:
        return
    planned = {entry.get("task") for entry in (app.conf.beat_schedule or {}).values()}
    missing = sorted(SCHEDULED - planned)
    if missing:
        text = f"Celery beat's schedule lacks {', '.join(missing)}."
        hint = (
            "app.conf.beat_schedule = {**(app.conf.beat_schedule or {}), **BEAT_SCHEDULE},"
            " from django_opentrain.schedule."
        )
        yield warning(8, text, hint)
