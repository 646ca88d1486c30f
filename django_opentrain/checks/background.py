"""Celery: does it have our tasks and our schedule?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from celery import Celery
from django import VERSION
from django.apps import apps
from django.core.checks import CheckMessage
from django.db import connections, router

from django_opentrain.checks.messages import configured, value_of, warning
from django_opentrain.platform.redaction import redact
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
    return [*_broker(app), *_tasks(app), *_beat(app), *_sqlite()]


def _broker(app: Celery) -> Iterator[CheckMessage]:
    """Whether a message can be published at all. Nothing is connected."""
    if app.conf.task_always_eager:
        text = "task_always_eager is on: no worker is woken, and events stay pending until something sweeps."
        hint = "Turn it off; or set OPENTRAIN['DISPATCH'] to 'none', and run opentrain_work."
        yield warning(16, text, hint)
    try:
        app.connection_for_write().transport  # noqa: B018 - imports the transport's library
    except (ImportError, KeyError) as problem:
        text = f"Celery can't use its broker's transport: {type(problem).__name__}: {redact(str(problem))}."
        hint = "Install the library that it needs, as in pip install 'celery[redis]', for web and workers."
        yield warning(17, text, hint)


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


def _sqlite() -> Iterator[CheckMessage]:
    """Web and workers write to one file, and by default each gives up soon when another does."""
    connection = connections[router.db_for_write(apps.get_model("django_opentrain", "WebhookEvent"))]
    # An attribute of the backend for SQLite only; in memory there is one process.
    in_memory = getattr(connection, "is_in_memory_db", lambda: True)()
    if not in_memory and not _is_patient(connection.settings_dict.get("OPTIONS") or {}):
        text = "The database is SQLite, where web and workers get 'database is locked' with these OPTIONS."
        hint = (
            "OPTIONS: timeout 30, and from Django 5.1 on transaction_mode 'IMMEDIATE' and init_command"
            " 'PRAGMA journal_mode=WAL'; or use PostgreSQL."
        )
        yield warning(19, text, hint)


def _is_patient(options: Mapping[str, Any]) -> bool:
    immediate = VERSION < (5, 1) or str(options.get("transaction_mode")).upper() == "IMMEDIATE"
    return immediate and float(options.get("timeout", 5)) >= 20
