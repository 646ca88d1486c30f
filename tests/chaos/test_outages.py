"""Brokers and databases that are away: deliveries are answered, and nothing is lost."""

from __future__ import annotations

import http.client
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from statistics import median

import pytest
from celery import Celery

from django_opentrain.services.workers import wakeup
from django_opentrain.web.slow_bodies import MAX_SECONDS
from tests.chaos.conftest import MakeSite, Site
from tests.chaos.stage import BROKER_URLS
from tests.chaos.wire import PASS, REFUSE, SILENT, Wire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIMIT = 2.0
DELIVERIES = 8
TIMEOUT = 60.0

rabbitmq = pytest.param("rabbitmq", 5672, marks=pytest.mark.rabbitmq)
redis = pytest.param("redis", 6379, marks=pytest.mark.redis)


@pytest.mark.parametrize("trouble", [REFUSE, SILENT])
@pytest.mark.parametrize(("broker", "port"), [rabbitmq, redis])
def test_a_broker_that_is_away_costs_no_delivery(
    make_site: MakeSite,
    wire: Callable[[int], Wire],
    queue: Callable[[str], str],
    broker: str,
    port: int,
    trouble: str,
) -> None:
    """Each is answered in time; the outage adds nothing to the later ones; one sweep finds them all."""
    proxy, direct = wire(port), BROKER_URLS[broker]
    through = direct.replace(str(port), str(proxy.port))
    site = make_site(CELERY_BROKER_URL=through, CELERY_QUEUE=queue(direct))
    site.start_web()
    usual = [deliver(site, number) for number in range(DELIVERIES)]
    proxy.behave(trouble)
    during = [deliver(site, DELIVERIES + number) for number in range(DELIVERIES)]
    assert max(during) < LIMIT
    assert median(during[2:]) < 3 * median(usual) + 0.2
    proxy.behave(PASS)
    site.start_worker()
    sweep(site)
    wait_for(site, {"PROCESSED": 2 * DELIVERIES})


@pytest.mark.parametrize(("broker", "port"), [rabbitmq, redis])
def test_a_connection_that_died_while_it_was_idle_costs_no_wake_up(
    wire: Callable[[int], Wire],
    queue: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    broker: str,
    port: int,
) -> None:
    proxy, direct = wire(port), BROKER_URLS[broker]
    with Celery("idle", broker=direct.replace(str(port), str(proxy.port)), set_as_current=False) as app:
        app.conf.task_default_queue = queue(direct)
        monkeypatch.setattr(wakeup, "_host_app", app)
        assert wakeup.publish()
        proxy.cut()
        assert wakeup.publish()


def deliver(site: Site, number: int) -> float:
    status, seconds = site.deliver(number)
    assert status == 200
    return seconds


def sweep(site: Site) -> None:
    """What beat sends, once."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "example_project.celery",
        "call",
        "django_opentrain.sweep",
    ]
    subprocess.run(command, env=site.environment, check=True, capture_output=True, timeout=TIMEOUT)


def wait_for(site: Site, expected: dict[str, int]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while (events := site.ask("events")) != expected:
        assert time.monotonic() < deadline, events
        time.sleep(0.5)


@pytest.mark.postgresql
def test_a_database_that_is_away_is_answered_503_and_nothing_is_half_written(
    make_site: MakeSite, wire: Callable[[int], Wire], database: str
) -> None:
    site = make_site(DATABASE_URL=database)
    proxy = wire(5432)
    site.processes.environment["DATABASE_URL"] = database.replace("5432", str(proxy.port))
    site.start_web()
    assert site.deliver(1)[0] == 200
    proxy.behave(REFUSE)
    for number in (1, 2, 3):
        status, seconds = site.deliver(number)
        assert status == 503
        assert seconds < LIMIT
    proxy.behave(PASS)
    assert [site.deliver(number)[0] for number in (1, 2, 2, 3)] == [200] * 4
    proxy.cut()  # the connections that were kept, one per thread, are dead by the next request
    assert [site.deliver(number)[0] for number in range(4, 10)] == [200] * 6
    assert sum(site.ask("events").values()) == 9


@pytest.mark.parametrize("pause", [0.5, TIMEOUT], ids=["drips", "stalls"])
def test_a_body_that_takes_too_long_is_read_no_more(make_site: MakeSite, pause: float) -> None:
    site = make_site()
    site.start_web()
    body = b"{}".ljust(1000)
    with closing(http.client.HTTPConnection("127.0.0.1", site.port.number, timeout=TIMEOUT)) as sender:
        sender.putrequest("POST", site.receiver)
        for header in {**site.signed(body), "Content-Length": "1000"}.items():
            sender.putheader(*header)
        sender.endheaders()
        began = time.monotonic()
        while not select.select([sender.sock], [], [], pause)[0]:
            sender.send(body[:1])
            assert time.monotonic() - began < 2 * MAX_SECONDS
        assert sender.getresponse().status == 408
        assert MAX_SECONDS - 1 < time.monotonic() - began < MAX_SECONDS + 5


def test_a_silent_mail_server_delays_a_removal_and_the_end_of_a_worker_only_briefly(
    make_site: MakeSite,
) -> None:
    """By the ten seconds that a mail may take, and what else there is to do; not by twenty."""
    within = 15.0
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        server.settimeout(TIMEOUT)
        site = make_site(CHAOS_MAIL_PORT=str(server.getsockname()[1]), CHAOS_MAIL_SECONDS="10")
        worker = site.processes.start("work", "django", "opentrain_work", "--forever", "--pause", "0.2")
        stack.enter_context(server.accept()[0])  # its greeting never comes
        site.ask("end")
        began = time.monotonic()
        while site.ask("access")["grants"] != ["REVOKED"]:
            assert time.monotonic() - began < within
        site.ask("hire")
        stack.enter_context(server.accept()[0])
        worker.ask_to_end()
        worker.wait(within)
    site.processes.running.remove(worker)
