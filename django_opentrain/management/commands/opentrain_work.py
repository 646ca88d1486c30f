"""``manage.py opentrain_work``: what Celery's worker and beat do, for a site without Celery."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import astuple
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError
from django.db import close_old_connections

from django_opentrain.management.arguments import seconds
from django_opentrain.services import purge, sweep
from django_opentrain.services.workers import heartbeat, turns
from django_opentrain.services.workers.connections import discard_if_stale

#: Also from cron, each minute: a heartbeat says when it last ran.
PURGE_EVERY: Final = timedelta(hours=1)
DEFAULT_PAUSE: Final = 15.0


class Command(BaseCommand):
    """Does what Celery's worker and beat do, for a site without Celery: see docs/how-to/without-celery.md."""

    help = "Do everything that is due, once: from cron, every minute. Or loop with --forever."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="loop until SIGTERM or SIGINT")
        parser.add_argument(
            "--pause",
            type=seconds,
            default=DEFAULT_PAUSE,
            metavar="SECONDS",
            help=f"pause between two rounds of --forever (default {DEFAULT_PAUSE:g})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["forever"]:
            self._forever(options["pause"])
        else:
            self._round(bool)

    def _forever(self, pause: float) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            close_old_connections()
            try:
                self._round(stop.is_set)
            except DatabaseError as error:
                discard_if_stale(error)
                # What was being done is rolled back and still due: the next round finds it.
                self.stderr.write(f"The database failed ({type(error).__name__}); retrying in {pause:g} s.")
            stop.wait(pause)

    def _round(self, stopping: Callable[[], bool]) -> None:
        turns.distrust_after_silence(heartbeat.age())
        turns.request_due()
        done = sweep.run(stopping=stopping)
        heartbeat.beat()
        if done:
            self.stdout.write(
                f"done: events {done.events}, grants {done.grants}, installs reconciled {done.installs},"
                f" budgets announced {done.budgets}, daily totals reported {done.usage},"
                f" first-login mails {done.mails}"
            )
        if not stopping() and purge.is_due(PURGE_EVERY):
            self._purge()

    def _purge(self) -> None:
        purged = purge.run()
        if any(astuple(purged)):
            self.stdout.write(
                f"purged: event bodies {purged.event_bodies}, trainers {purged.participants},"
                f" unfinished connections {purged.consent_requests + purged.pending_installs}"
            )
