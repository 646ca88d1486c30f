"""Celery: does it have our tasks and our schedule?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery import Celery
from django.core.checks import CheckMessage

from django_opentrain import tasks
from django_opentrain.checks.messages import CheckId, message
from django_opentrain.platform.redaction import redact
from django_opentrain.schedule import BEAT_SCHEDULE

#: Celery's own, which reads ``beat_schedule``. Others may keep their schedule elsewhere.
DEFAULT_SCHEDULER: Final = "celery.beat:PersistentScheduler"
SCHEDULED: Final = {str(entry["task"]) for entry in BEAT_SCHEDULE.values()}


def check_celery(app: Celery) -> Iterator[CheckMessage]:
    """The host's app. Nothing is connected."""
    yield from _broker(app)
    yield from _tasks(app)
    yield from _beat(app)


#: `task_always_eager` is on. It runs tasks in the process that sends them; the message that wakes a worker is
#: sent by name, and no worker is there to take it: events stay pending until something sweeps. Turn it off,
#: or set `DISPATCH` to `"none"` and run `opentrain_work`.
W016: Final = CheckId("W016")
#: Celery can't load its broker's transport: a library is missing, or the URL's scheme is unknown. The web
#: process can't wake a worker then, and a worker doesn't start. Install what the message names, or Celery's
#: extra for it: `pip install 'celery[redis]'`.
W017: Final = CheckId("W017")


def _broker(app: Celery) -> Iterator[CheckMessage]:
    """Whether a message can be published at all. Nothing is connected."""
    if app.conf.task_always_eager:
        text = "task_always_eager is on: no worker is woken, and events stay pending until something sweeps."
        hint = "Turn it off; or set OPENTRAIN['DISPATCH'] to 'none', and run opentrain_work."
        yield message(W016, text, hint)
    try:
        app.connection_for_write().transport  # noqa: B018 - imports the transport's library
    except (ImportError, KeyError) as problem:
        text = f"Celery can't use its broker's transport: {type(problem).__name__}: {redact(str(problem))}."
        hint = "Install the library that it needs, as in pip install 'celery[redis]', for web and workers."
        yield message(W017, text, hint)


#: The Celery app doesn't have our tasks. They are registered when Django starts; something has removed them,
#: or created another app.
W007: Final = CheckId("W007")


def _tasks(app: Celery) -> Iterator[CheckMessage]:
    # Not import_default_modules(): Celery's answer to that is to run the system checks.
    missing = sorted({tasks.drain.name, *SCHEDULED} - set(app.tasks))
    if missing:
        text = f"The Celery app {app.main!r} lacks our tasks: {', '.join(missing)}."
        hint = "Make sure that nothing unregisters them: they are shared tasks of django_opentrain.tasks."
        yield message(W007, text, hint)


#: Celery beat doesn't have our schedule, so nothing runs automatically: merge
#: `django_opentrain.schedule.BEAT_SCHEDULE` into it. With a scheduler that keeps its schedule elsewhere this
#: isn't checked; `opentrain_doctor` sees whether sweeps happen.
W008: Final = CheckId("W008")


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
        yield message(W008, text, hint)
