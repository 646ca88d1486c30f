"""A real worker with one task, which works until the worker shuts down; it says so, or that its time was over."""

from __future__ import annotations

import sys
import time
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from django_opentrain.services.workers.shutdown import shutting_down

SECONDS = 60

app = Celery("host", broker="memory://")
app.conf.worker_redirect_stdouts = False


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


@app.task
def work() -> None:
    say("working")
    until = time.monotonic() + SECONDS
    while not shutting_down() and time.monotonic() < until:
        time.sleep(0.05)
    say("shutting down" if shutting_down() else "time is over")


@worker_ready.connect
def begin(**_details: Any) -> None:
    work.delay()


if __name__ == "__main__":
    app.Worker(concurrency=1, loglevel="ERROR", quiet=True).start()
