"""Celery tasks: names for the services. They take ids, carry no state, and may run twice or side by side.

On SIGTERM a worker ends after the item in hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Final, ParamSpec

from celery import Task, shared_task
from django.db import DatabaseError

from django_opentrain.conflicts import is_conflict
from django_opentrain.models import AccessGrant, Install
from django_opentrain.platform.redaction import describe
from django_opentrain.services import access, endpoints, reconcile
from django_opentrain.services import purge as purging
from django_opentrain.services.sweep import MAX_SWEEP_SECONDS, process_due
from django_opentrain.services.usage import runs
from django_opentrain.services.workers import heartbeat, turns
from django_opentrain.services.workers.connections import discard_if_stale
from django_opentrain.services.workers.shutdown import shutting_down
from django_opentrain.services.workers.wakeup import DRAIN_TASK

#: Seconds after which a hanging call to the host is aborted. It counts as failed, and is retried. The task ends with
#: it: going on, it would be killed in another customer's call. The next one does the rest.
LIMIT: Final = 10 * 60
#: The usage of all customers may take longer.
USAGE_LIMIT: Final = 60 * 60
#: Seconds. A message that no worker took within its expiry is dropped: a later one does the same work.
MINUTE: Final = 60
#: A sweep that ended this short a while ago has done what another one would: in a queue that is shared with slow
#: tasks, sweeps wait, and come in bunches.
JUST_NOW: Final = timedelta(seconds=10)
#: Seconds after that until the task is killed. What it leaves is found by the next sweep.
GRACE: Final = 60

P = ParamSpec("P")

logger = logging.getLogger(__name__)


def _limited_task(
    name: str, *, limit: int = LIMIT, expires: int | None = None
) -> Callable[[Callable[P, None]], Task[P, None]]:
    def decorate(work: Callable[P, None]) -> Task[P, None]:
        @wraps(work)
        def outlasting(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                work(*args, **kwargs)
            except DatabaseError as error:
                discard_if_stale(error)
                if not is_conflict(error):
                    raise
                # Celery would log an error with a traceback.
                logger.warning("%s ended early (%s); what is due stays due.", name, describe(error))

        return shared_task(
            name=name, ignore_result=True, expires=expires, soft_time_limit=limit, time_limit=limit + GRACE
        )(outlasting)

    return decorate


@_limited_task(DRAIN_TASK)
def drain() -> None:
    """Process what has come in. Sent, coalesced, whenever there is something."""
    process_due(max_seconds=MAX_SWEEP_SECONDS, stopping=shutting_down)


@_limited_task("django_opentrain.sweep", expires=10 * MINUTE)
def sweep() -> None:
    """Find what no wake-up announced, and record a heartbeat. Scheduled."""
    age = heartbeat.age()
    if age is not None and timedelta() <= age < JUST_NOW:
        return
    turns.distrust_after_silence(age)
    process_due(max_seconds=MAX_SWEEP_SECONDS, stopping=shutting_down)
    heartbeat.beat()


@_limited_task("django_opentrain.converge_access")
def converge_access(grant_id: int) -> None:
    """Try one grant now."""
    access.converge(AccessGrant.objects.get(pk=grant_id))


@_limited_task("django_opentrain.collect_and_report_usage", limit=USAGE_LIMIT, expires=14 * MINUTE)
def collect_and_report_usage() -> None:
    """Collect usage from the host and report it. Scheduled."""
    runs.run_due(stopping=shutting_down)


@_limited_task("django_opentrain.reconcile_install")
def reconcile_install(install_id: int) -> None:
    """Reconcile one install now."""
    reconcile.install(Install.objects.get(pk=install_id))


@_limited_task("django_opentrain.reconcile_all", expires=59 * MINUTE)
def reconcile_all(*, in_turns: bool = False) -> None:
    """Reconcile every install; the sweeps, also other workers', share the work.

    With ``in_turns``, as scheduled: only give a turn to those that are due within the next hour.
    """
    if in_turns:
        turns.plan()
        return
    reconcile.request_all()
    process_due(max_seconds=MAX_SWEEP_SECONDS, stopping=shutting_down)


@shared_task(name="django_opentrain.check_endpoints", ignore_result=True, expires=9 * MINUTE)
def check_endpoints(*, doubtful: bool = False) -> None:
    """Ensure that every install has a working webhook endpoint.

    With ``doubtful``, as scheduled: only look at those that may not work.
    """
    endpoints.check_all(doubtful=doubtful, stopping=shutting_down)


@shared_task(name="django_opentrain.purge", ignore_result=True, expires=12 * 60 * MINUTE)
def purge() -> None:
    """Delete what is past its retention. Scheduled."""
    purging.run()
