"""``manage.py opentrain_work``: what Celery's worker and beat do, for a site that has neither."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import astuple
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError
from django.db import close_old_connections

from django_opentrain.services import purge, reconcile, sweep
from django_opentrain.services.workers import heartbeat

#: As often as Celery beat asks for it; see ``schedule.py``.
RECONCILE_EVERY: Final = timedelta(hours=1)
#: Seconds. It looks through all events, which there may be many of.
FORGET_EVERY: Final = 3600.0
DEFAULT_PAUSE: Final = 15.0


class Command(BaseCommand):
    help = "Do everything that is due, once: from cron, each minute. Or go on with --forever."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="go on until SIGTERM or SIGINT")
        parser.add_argument(
            "--pause",
            type=float,
            default=DEFAULT_PAUSE,
            metavar="SECONDS",
            help=f"between two rounds of --forever (default {DEFAULT_PAUSE:g})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["forever"]:
            self._forever(options["pause"])
        else:
            self._round(bool)
            self._forget()

    def _forever(self, pause: float) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        forget_at = time.monotonic()
        while not stop.is_set():
            close_old_connections()
            try:
                self._round(stop.is_set)
                if time.monotonic() >= forget_at:
                    self._forget()
                    forget_at = time.monotonic() + FORGET_EVERY
            except DatabaseError as error:
                # What was under way is rolled back and still due: the next round finds it.
                self.stderr.write(f"The database failed ({type(error).__name__}); next try in {pause:g} s.")
            stop.wait(pause)

    def _round(self, stopping: Callable[[], bool]) -> None:
        reconcile.request_older_than(RECONCILE_EVERY)
        done = sweep.run(stopping=stopping)
        heartbeat.beat()
        if done:
            self.stdout.write(
                f"done: events {done.events}, grants {done.grants}, installs reconciled {done.installs},"
                f" budgets announced {done.budgets}, daily totals reported {done.usage},"
                f" first-login mails {done.mails}"
            )

    def _forget(self) -> None:
        forgotten = purge.run()
        if any(astuple(forgotten)):
            self.stdout.write(
                f"forgotten: event bodies {forgotten.event_bodies}, people {forgotten.people},"
                f" unfinished connections {forgotten.consent_requests + forgotten.pending_installs}"
            )
