"""Broker, workers, beat."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from celery import Celery

from django_opentrain.conf import conf
from django_opentrain.services.doctor.findings import Finding, error, warning
from django_opentrain.services.doctor.formatting import format_duration
from django_opentrain.services.health import CLOCK_SET_BACK, pulse
from django_opentrain.services.workers.wakeup import celery_app

#: Seconds. A broker that accepts connections and never answers blocks for minutes.
BROKER_SECONDS: Final = 5.0
PING_SECONDS: Final = 2.0


def broker_and_workers() -> Iterator[Finding]:
    """Can messages be published, and does a worker answer? Only if the site uses Celery."""
    app = celery_app()
    if conf.dispatch != "celery" or app is None:
        return
    problem = within(BROKER_SECONDS, lambda: _connect(app))
    if problem is not None:
        yield error("broker-unreachable", f"The broker can't be reached ({problem}).")
        return
    if not _can_be_asked(app):
        return
    answers: list[object] = []
    within(BROKER_SECONDS + PING_SECONDS, lambda: answers.extend(_ask_workers(app)))
    if answers:
        return
    # A worker with a single thread doesn't answer while it is busy.
    report = warning if pulse().swept_lately else error
    yield report("worker-silent", f"No Celery worker answers within {PING_SECONDS:g} seconds.")


def _connect(app: Celery) -> None:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1)


def _can_be_asked(app: Celery) -> bool:
    """Whether a broadcast reaches the workers: a broker in a database, or Amazon's SQS, has none."""
    with app.connection_for_write() as connection:
        broadcasts = "fanout" in connection.transport.implements.exchange_type
    return broadcasts and bool(app.conf.worker_enable_remote_control)


def _ask_workers(app: Celery) -> Sequence[object]:
    """What only workers answer: since Celery 5.7, a ping can be answered by beat as well."""
    return app.control.broadcast("active_queues", reply=True, timeout=PING_SECONDS, limit=1) or []


def within(seconds: float, action: Callable[[], object]) -> str | None:
    """Run ``action`` in a thread of its own; None when it returned in time, else what went wrong."""
    problems = ["no answer"]

    def run() -> None:
        try:
            action()
        except Exception as problem:  # noqa: BLE001 - each transport has its own errors
            # Only the type: a message can hold the broker's URL, with its password.
            problems[:] = [type(problem).__name__]
        else:
            problems.clear()

    thread = threading.Thread(target=run, name="opentrain-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    return problems[0] if problems else None


def sweeps() -> Iterator[Finding]:
    """Did beat or cron run recently?"""
    now = pulse()
    if now.swept_lately:
        return
    if now.sweep_age is None:
        yield error("beat-silent", "Nothing has ever run on schedule here.")
    elif CLOCK_SET_BACK in now.conditions:
        title = f"The last sweep ran {format_duration(-now.sweep_age)} ahead of this machine's clock."
        yield error("clock-set-back", title, age=round(now.sweep_age))
    else:
        title = f"Nothing has run on schedule for {format_duration(now.sweep_age)}."
        yield error("beat-silent", title, age=round(now.sweep_age))
