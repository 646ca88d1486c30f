"""What grows with the table of events: each operation on a site with few events, and with millions.

::

    python -m benchmarks.growth [--events 1000000 10000000] [--rounds 9]

The floor of each line is the same operation in a database with 10,000 events, as many as fill every page: both are on
the same server, and measured by the same process in turns. A delivery's floor has grown as a bare INSERT into a table
with the same rows has. Events are of a year, spread over 100 customers; bodies that are older than a month are gone.
The rows are copied inside the database (PostgreSQL's). Printed are the medians, by the wall clock: what the database
does counts, too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Final

from benchmarks.site import database  # isort: skip  # first: it sets Django up

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client, override_settings
from django.utils import timezone

from benchmarks.events import kinds_of, store, story
from benchmarks.lines import Line, command
from benchmarks.overview import copy
from benchmarks.receiver import bodies, cpu_seconds, environ, make_floor, sign
from benchmarks.urls import COLUMNS, TABLE
from benchmarks.urls import urlpatterns as benchmarks_urls
from django_opentrain.models import Heartbeat, WebhookEndpoint, WebhookEvent
from django_opentrain.services import inbox, purge
from django_opentrain.services.sweep import process_due
from tests.factories import make_endpoint, make_event, make_install, make_user
from tests.settings import MIDDLEWARE
from tests.urls import urlpatterns as tests_urls

#: The site that the others are compared with.
FEW: Final = 10_000
INSTALLS: Final = 100
#: Deliveries, or events, of a round.
BURST: Final = 200
#: So much of its speed is wanted with any number of rows: it takes 1.1 times as long at most.
WANTED: Final = 0.91
EVENTS: Final = "/admin/django_opentrain/webhookevent/"
PAGES: Final = {
    "admin: overview": "/admin/django_opentrain/",
    "admin: endpoints": "/admin/django_opentrain/webhookendpoint/",
    "admin: events": EVENTS,
    "admin: events, processed": f"{EVENTS}?status__exact=PROCESSED",
    "admin: events, a type": f"{EVENTS}?type__exact=contract.started",
    "admin: events, a customer's": f"{EVENTS}?q=acme+7",
    "admin: events, one resource's": f"{EVENTS}?q=res_77",
    "admin: events, not found": f"{EVENTS}?q=res_none",
}
CUSTOMERS_PAGES: Final = {
    "customer: overview": "/opentrain/",
    "API: events": "/opentrain/api/events/",
    "API: events, processed": "/opentrain/api/events/?status=PROCESSED",
    "API: events, failed": "/opentrain/api/events/?status=FAILED",
    "API: events, a type": "/opentrain/api/events/?type=contract.started",
    "API: events, one resource's": "/opentrain/api/events/?resourceId=res_77",
}

Operations = dict[str, Callable[[], float]]


# The site -------------------------------------------------------------------------------------


def seed() -> tuple[WebhookEndpoint, WebhookEvent]:
    """Customers with an endpoint each; returns the first one's, and the event of which there will be more."""
    install = make_install("acme")
    endpoint = make_endpoint(install)
    event = make_event(endpoint, status="PROCESSED")
    copied = copy(install, INSTALLS - 1, tenant="'acme ' || n", opentrain_id="'ins_' || n")
    copy(
        endpoint,
        INSTALLS - 1,
        install_id=f"{copied} + n",
        opentrain_id="'end_' || n",
        key="gen_random_uuid()",
    )
    Heartbeat.objects.create(name="sweep", beat_at=timezone.now(), host="localhost")
    return endpoint, event


def grow(event: WebhookEvent, present: int, wanted: int) -> None:
    """Add events, to both tables."""
    added = wanted - present
    share = f"365.0 * ({added} - n) / {added}"
    with _without_upkeep() as cursor:
        copy(
            event,
            added,
            endpoint_id=f"{event.endpoint_id} + n % {INSTALLS}",
            event_id=f"'evt_{present}_' || n",
            delivery_id=f"'dlv_{present}_' || n",
            resource_id="'res_' || n",
            digest=f"md5('{present} ' || n) || md5('-{present} ' || n)",
            received_at=f"now() - interval '1 day' * ({share})",
            body=f"CASE WHEN {share} < 30 THEN t.body END",
        )
        cursor.execute(
            f"INSERT INTO {TABLE} ({COLUMNS}) SELECT endpoint_id, digest, delivery_id, event_id, type,"
            f" resource_id, job_id, COALESCE(body, ''), received_at FROM {WebhookEvent._meta.db_table}"
            " ON CONFLICT DO NOTHING"
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def _without_upkeep() -> Iterator[Any]:
    """Indexes are made once all rows are there, and foreign keys are not checked for each."""
    table = WebhookEvent._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef NOT LIKE '%%UNIQUE%%'",
            [table],
        )
        indexes = cursor.fetchall()
        cursor.execute(f"DROP INDEX {', '.join(name for name, _definition in indexes)}")
        cursor.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        yield cursor
        cursor.execute("SET session_replication_role = DEFAULT; SET synchronous_commit = DEFAULT")
        cursor.execute("SET maintenance_work_mem = '1GB'")
        for _name, definition in indexes:
            cursor.execute(definition)


@contextmanager
def grown(event: WebhookEvent, events: int) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a copy of the database that has so many events."""
    small, name = connections["default"], str(events)
    small.creation.clone_test_db(name, verbosity=0)
    large = connections.create_connection("default")
    large.settings_dict = small.creation.get_test_db_clone_settings(name)
    try:
        with using(large):
            grow(event, FEW, events)
        yield large
    finally:
        large.close()
        small.creation.destroy_test_db(suffix=name, verbosity=0)


@contextmanager
def using(wrapper: BaseDatabaseWrapper) -> Iterator[None]:
    """All statements go to this connection's database."""
    before = connections["default"]
    connections["default"] = wrapper
    try:
        yield
    finally:
        connections["default"] = before


# Measuring ------------------------------------------------------------------------------------


def seconds(step: Callable[[], Any]) -> float:
    """How long it took."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def operations(endpoint: WebhookEndpoint) -> Operations:
    """What is measured, by name; each returns seconds. The first two are the floor's delivery and ours."""
    staff, customer = Client(), Client()
    staff.force_login(make_user("root", is_staff=True, is_superuser=True))
    customer.force_login(make_user("acme-boss"))
    made: Operations = {
        "floor": partial(_deliveries, f"/floor/{endpoint.key}/", ""),
        "a delivery": partial(_deliveries, f"/opentrain/webhooks/{endpoint.key}/", str(endpoint.secret)),
        "an event processed": partial(_drain, endpoint, count()),
        "a sweep with nothing to do": partial(seconds, process_due),
        "a purge with nothing to forget": partial(seconds, purge.run),
    }
    for client, pages in ((staff, PAGES), (customer, CUSTOMERS_PAGES)):
        for name, url in pages.items():
            assert client.get(url).status_code == 200, url
            made[name] = partial(seconds, partial(client.get, url))
    return made


def _deliveries(path: str, secret: str) -> float:
    handler, sample = WSGIHandler(), list(bodies(BURST))
    requests = [environ(path, body, sign(secret, body) if secret else "") for body in sample]
    took = seconds(lambda: cpu_seconds(handler, requests, "200 OK")) / BURST
    WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING).delete()
    return took


def _drain(endpoint: WebhookEndpoint, numbers: Iterator[int]) -> float:
    kinds = kinds_of("started=1,milestone=6,ended=1")
    store(endpoint, story(kinds, BURST // len(kinds), f"growth_{next(numbers)}"))
    return seconds(inbox.drain) / BURST


def measured(steps: Operations, sites: Sequence[BaseDatabaseWrapper], rounds: int) -> list[dict[str, float]]:
    """The median seconds of each at each site. They take turns, and who is first does, too."""
    taken: list[dict[str, list[float]]] = [{name: [] for name in steps} for _site in sites]
    for number in range(rounds + 1):  # the first one warms up
        for name, step in steps.items():
            for site, times in list(zip(sites, taken, strict=True))[:: (-1) ** number]:
                with using(site):
                    times[name].append(step())
    return [{name: statistics.median(each[1:]) for name, each in times.items()} for times in taken]


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What each operation takes with so many events, beside the same with few."""
    host = {**settings.OPENTRAIN, "ADAPTER": "tests.web.adapter.NamesAdapter"}
    urls = (*benchmarks_urls, *tests_urls)
    with database(), override_settings(OPENTRAIN=host, ROOT_URLCONF=urls, MIDDLEWARE=MIDDLEWARE):
        make_floor()
        endpoint, event = seed()
        grow(event, 0, FEW)
        steps = operations(endpoint)
        for events in options.events:
            with grown(event, events) as large:
                few, many = measured(steps, [connections["default"], large], options.rounds)
            yield from compared(few, many, events)


def compared(few: dict[str, float], many: dict[str, float], events: int) -> Iterator[Line]:
    """The lines of a size."""
    for name, took in many.items():
        if name == "floor":
            continue
        grown = many["floor"] / few["floor"] if name == "a delivery" else 1
        yield Line(
            name=f"{events:,} events: {name}",
            unit="ms",
            ours=1000 * took,
            floor=1000 * few[name] * grown,
            share=WANTED,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=9)
    command(measure, parser)


if __name__ == "__main__":
    main()
