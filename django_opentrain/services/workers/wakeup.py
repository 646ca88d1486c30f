"""Waking the workers: one coalesced message for many events, never waited for.

Publishing to a broker that accepts connections and never answers blocks for minutes even with ``retry=False``, so
a thread of its own publishes. If no wake-up arrives, the sweep finds the work: a wake-up only saves time.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from django_opentrain.conf import conf
from django_opentrain.transactions import on_commit

if TYPE_CHECKING:
    from celery import Celery

logger = logging.getLogger(__name__)

DRAIN_TASK: Final = "django_opentrain.drain"

#: Wake-ups within this many seconds become one message.
COALESCE_SECONDS: Final = 0.1
#: After a failure nothing is published for this long.
COOL_DOWN_SECONDS: Final = 15.0
#: A wake-up that no worker took by then is dropped: a sweep has found the work.
EXPIRES_SECONDS: Final = 60

_host_app: Celery | None = None


def remember_celery_app() -> None:
    """Keep the host's Celery app. Called when Django starts, in the thread that made the app current:
    in any other thread ``current_app`` is a fallback that knows no broker.

    A host that has made an app has loaded Celery; for one that hasn't it isn't loaded.
    """
    global _host_app
    celery = sys.modules.get("celery")
    _host_app = None if celery is None else celery.current_app._get_current_object()  # noqa: SLF001 - what a Proxy offers


def celery_app() -> Celery | None:
    """The host's Celery app; None when the host has none."""
    app = _host_app
    return None if app is None or app.main == "default" else app


class Waker:
    """Publishes "there is work" from a thread of its own, one per process."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake_workers(self) -> None:
        """Never blocks, never raises."""
        self._wanted.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    _warn_without_threads()
                    self._thread = threading.Thread(target=self._run, name="opentrain-wakeup", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            time.sleep(COALESCE_SECONDS if publish() else COOL_DOWN_SECONDS)


def _warn_without_threads() -> None:
    """uWSGI up to 2.0.26 runs no threads unless that is switched on; later ones do."""
    if not getattr(sys.modules.get("uwsgi"), "has_threads", True):
        logger.warning(
            "uWSGI runs without --enable-threads: workers aren't woken, and events wait for the sweep."
        )


def publish() -> bool:
    """Send one drain message; returns whether the broker accepted it."""
    app = celery_app()
    if app is None:
        return False
    failure = _send(app)
    if failure is not None:
        # A connection that died while idle is only noticed when it is used: a second attempt opens a new one.
        failure = _send(app)
    if failure is not None:
        logger.warning(
            "Could not wake the workers (%s); the sweep will find the work. Retrying in %d s.",
            type(failure).__name__,
            COOL_DOWN_SECONDS,
        )
    return failure is None


def _send(app: Celery) -> Exception | None:
    try:
        app.send_task(DRAIN_TASK, retry=False, ignore_result=True, expires=EXPIRES_SECONDS)
    except Exception as error:  # noqa: BLE001 - each transport has its own errors, and none may end this thread
        return error
    return None


_waker = Waker()


def _forget_thread() -> None:
    """A forked child has a copy of its parent's waker, but not its thread."""
    global _waker
    _waker = Waker()


os.register_at_fork(after_in_child=_forget_thread)


def wake_workers() -> None:
    """There is work. Never blocks, never raises."""
    if conf.dispatch == "celery" and celery_app() is not None:
        _waker.wake_workers()


def wake_workers_on_commit() -> None:
    """There will be work once the surrounding transaction has committed."""
    on_commit(wake_workers)
