"""Waking the workers: at once, seldom, and never waited for."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from django_opentrain.services.workers import wakeup

#: Longer than anything here takes by itself.
TIMEOUT = 10.0


class Broker:
    """What a Celery app publishes to: it may fail, or fall silent."""

    def __init__(self) -> None:
        self.published = 0
        self.behave: Callable[[], object] = lambda: None
        self.answers = threading.Event()

    def send_task(self, name: str, **options: Any) -> None:
        assert (name, options["retry"]) == (wakeup.DRAIN_TASK, False)
        self.published += 1
        self.behave()

    def refuse(self) -> None:
        raise ConnectionRefusedError

    def fall_silent(self) -> None:
        self.answers.wait(TIMEOUT)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Broker]:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "DISPATCH": "celery"}
    nudger = wakeup.Waker()
    monkeypatch.setattr(wakeup, "_waker", nudger)
    with Celery("site", set_as_current=False) as app:
        monkeypatch.setattr(wakeup, "_host_app", app)
        broker = Broker()
        monkeypatch.setattr(app, "send_task", broker.send_task)
        yield broker
        # Its thread lives until the process ends: it is to find nothing to do.
        nudger._wanted.clear()
        broker.answers.set()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "It never came to that."
        time.sleep(0.005)


def seconds_for(number: int) -> float:
    start = time.monotonic()
    for _ in range(number):
        wakeup.wake_workers()
    return time.monotonic() - start


def test_many_events_make_few_messages(broker: Broker) -> None:
    assert seconds_for(500) < 1
    until(lambda: broker.published >= 1)
    time.sleep(3 * wakeup.COALESCE_SECONDS)
    assert broker.published <= 4


def test_an_event_that_comes_during_the_publishing_is_announced_too(broker: Broker) -> None:
    broker.behave = broker.fall_silent
    wakeup.wake_workers()
    until(lambda: broker.published == 1)
    wakeup.wake_workers()
    broker.answers.set()
    until(lambda: broker.published >= 2)


def test_a_broker_that_never_answers_keeps_nobody_waiting(broker: Broker) -> None:
    broker.behave = broker.fall_silent
    assert seconds_for(100) < 1
    until(lambda: broker.published == 1)
    assert seconds_for(100) < 1
    assert broker.published == 1


def test_a_broker_that_fails_is_left_alone_for_a_while(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wakeup, "COOL_DOWN_SECONDS", 1.0)
    broker.behave = broker.refuse
    wakeup.wake_workers()
    until(lambda: "Could not wake the workers (ConnectionRefusedError)" in caplog.text)
    tried = broker.published
    assert seconds_for(100) < 0.5
    time.sleep(0.3)
    assert broker.published == tried
    broker.behave = lambda: None
    until(lambda: broker.published > tried)


def test_without_a_broker_nothing_is_published(broker: Broker, settings: Any, monkeypatch: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "DISPATCH": "none"}
    wakeup.wake_workers()
    settings.OPENTRAIN = {**settings.OPENTRAIN, "DISPATCH": "celery"}
    monkeypatch.setattr(wakeup, "_host_app", None)
    wakeup.wake_workers()
    assert not wakeup.publish()
    time.sleep(2 * wakeup.COALESCE_SECONDS)
    assert broker.published == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_has_a_thread_of_its_own(broker: Broker) -> None:
    """Gunicorn preloads the site and forks: the parent's thread doesn't come along."""
    wakeup.wake_workers()
    until(lambda: broker.published == 1)
    child = os.fork()
    if child == 0:
        wakeup.wake_workers()
        time.sleep(5 * wakeup.COALESCE_SECONDS)
        os._exit(0 if broker.published == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(("has_threads", "warnings"), [(0, 1), (1, 0)])
def test_a_server_that_runs_no_threads_is_named(
    has_threads: int,
    warnings: int,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """uWSGI up to 2.0.26 by default. Its module exists only inside of it."""
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(has_threads=has_threads))
    for _ in range(3):
        wakeup.wake_workers()
    until(lambda: broker.published > 0)
    assert caplog.text.count("--enable-threads") == warnings
