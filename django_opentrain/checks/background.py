"""Does anything do the work, and can it write to the database while others do?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django import VERSION
from django.apps import apps
from django.core.checks import CheckMessage
from django.db import connections, router

from django_opentrain.checks.messages import CheckId, configured, message, value_of
from django_opentrain.services.workers.wakeup import celery_app

#: `DISPATCH` is `"celery"`, and there is no Celery app when Django starts: events wait for a sweep. Import
#: the app in your project's `__init__.py`, as Celery's documentation for Django says. A site without Celery
#: sets `DISPATCH` to `"none"`.
W006: Final = CheckId("W006")


def check_background_work(**_options: Any) -> list[CheckMessage]:
    """Only if Celery does the work. Nothing is sent: ``opentrain_doctor`` checks whether workers run."""
    if not configured() or value_of("DISPATCH") != "celery":
        return []
    app = celery_app()
    if app is None:
        text = "OPENTRAIN['DISPATCH'] is 'celery', and there is no Celery app."
        hint = "Import it in the project's __init__.py; or set DISPATCH to 'none', and run opentrain_work from cron."
        return [message(W006, text, hint)]
    # Not at the module's level, which is loaded when Django starts: it loads Celery, and all that the tasks do.
    from django_opentrain.checks.celery import check_celery  # noqa: PLC0415

    return [*check_celery(app), *_sqlite()]


#: The database is a SQLite file, and Celery works beside the web: both write, and with Django's defaults one
#: fails with "database is locked" when the other does. Nothing is lost: what failed is retried, at once and
#: then by the next sweep, which is logged as a warning. But it costs time, and a delivery that waits for long
#: is answered 503. Set
#:
#: ```python
#: DATABASES["default"]["OPTIONS"] = {
#:     "timeout": 30,  # seconds for which a writer waits
#:     "transaction_mode": "IMMEDIATE",  # from Django 5.1 on
#:     "init_command": "PRAGMA journal_mode=WAL",  # likewise: readers don't wait for a writer
#: }
#: ```
#:
#: or use PostgreSQL.
W019: Final = CheckId("W019")


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
        yield message(W019, text, hint)


def _is_patient(options: Mapping[str, Any]) -> bool:
    immediate = VERSION < (5, 1) or str(options.get("transaction_mode")).upper() == "IMMEDIATE"
    return immediate and float(options.get("timeout", 5)) >= 20
