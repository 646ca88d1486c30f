"""What processing an event costs, beside a hand-written loop; and what more workers add.

::

    python -m benchmarks.events [--events 6400] [--rounds 5] [--mix started=1,milestone=6,ended=1]
                                [--processes 1 2 4] [--installs 50]

The floor claims an event, parses its body, writes the contract and its grant with two statements, and marks the
event, in raw SQL and without encryption, retries or checks; once with a transaction for each event, as such loops are
written, and once with one for 100. All process the same events of one customer in alternating rounds; what is
compared is the CPU time of the process. Then events of many customers wait, and several workers drain them at the
same time, in turns with as many processes of the floor's (100 in a transaction): their time is the clock's, and their
CPU time is that of PostgreSQL's processes as well, which run on this machine (Linux). What more processes add to the
floor is what the machine allows at all: on one that does something else, compare with that. On PostgreSQL.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, TypeAlias

from django.db import connection, transaction
from django.utils import timezone

from benchmarks.lines import Line, command
from benchmarks.site import database
from django_opentrain.models import WebhookEndpoint, WebhookEvent
from django_opentrain.services import inbox
from tests.factories import make_endpoint, make_install

#: The share of the floor's speed that is wanted, and the most statements an event in a burst.
WANTED = 0.5
WANTED_STATEMENTS = 4
#: How many times as fast as one so many workers should be, while each has a core.
WANTED_SPEED = {1: 1.0, 2: 1.8, 4: 3.0}
#: How much longer more workers may take once they share cores.
WANTED_SHARING = 1.1
#: Contracts whose events come between each other's.
GROUP = 50
#: Events in one transaction of the floor's.
FLOORS = (1, 100)
TYPES = {"started": "contract.started", "milestone": "milestone.funded", "ended": "contract.ended"}
TABLES = """
CREATE TABLE floor_event (
    id bigserial PRIMARY KEY, status varchar(16) NOT NULL, body bytea NOT NULL, processed_at timestamptz);
CREATE INDEX ON floor_event (status, id);
CREATE TABLE floor_contract (
    id bigserial PRIMARY KEY, opentrain_id varchar(200) NOT NULL UNIQUE, job_id varchar(200) NOT NULL,
    title varchar(500) NOT NULL, status varchar(16) NOT NULL, budget varchar(16) NOT NULL);
CREATE TABLE floor_grant (
    id bigserial PRIMARY KEY, contract varchar(200) NOT NULL, trainer varchar(200) NOT NULL,
    email varchar(200) NOT NULL, desired varchar(16) NOT NULL, UNIQUE (contract, trainer));
"""
CLAIM = (
    "SELECT id, body FROM floor_event WHERE status = 'PENDING' ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"
)
CONTRACT = (
    "INSERT INTO floor_contract (opentrain_id, job_id, title, status, budget) VALUES (%s, %s, %s, %s, 'OK')"
    " ON CONFLICT (opentrain_id) DO UPDATE SET title = excluded.title, status = excluded.status"
)
GRANT = (
    "INSERT INTO floor_grant (contract, trainer, email, desired) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (contract, trainer) DO UPDATE SET email = excluded.email, desired = excluded.desired"
)
BUDGET = "UPDATE floor_contract SET budget = %s WHERE opentrain_id = %s"
PAUSE = "UPDATE floor_grant SET desired = %s WHERE contract = %s AND desired = 'PAUSED'"
MARK = "UPDATE floor_event SET status = 'PROCESSED', processed_at = now() WHERE id = %s"

_ids = itertools.count(1)


# The events -----------------------------------------------------------------------------------


def story(kinds: Sequence[str], contracts: int, customer: str) -> Iterator[bytes]:
    """The bodies of these events of each contract; those of a group of contracts come one kind after the other."""
    for first in range(0, contracts, GROUP):
        names = [f"{customer}_{next(_ids)}" for _ in range(first, min(first + GROUP, contracts))]
        for kind in kinds:
            for name in names:
                yield _body(kind, name, customer)


def _body(kind: str, name: str, customer: str) -> bytes:
    contract = {"id": f"ctr_{name}", "jobId": "job_1", "title": "Label photos of streets", "status": "active"}
    link = {
        "id": f"lnk_{customer}",
        "jobId": "job_1",
        "externalProjectId": "p1",
        "externalProjectName": "Streets",
    }
    data: dict[str, Any] = {"contract": contract, "projectLink": link}
    if kind == "milestone":
        budget = {"state": "OK", "fundedVolume": 100, "consumedVolume": 20.5, "consumedFraction": 0.205}
        data["budget"] = {**budget, "remainingVolume": 79.5, "paymentType": "PAY_PER_HOUR"}
    else:
        data["freelancer"] = {
            "opentrainUserId": f"usr_{name}",
            "displayName": "Maria S.",
            "country": "BR",
            "workEmail": f"maria.{name}@opentrain.work",
        }
    about = {"createdAt": timezone.now().isoformat(), "resourceId": f"ctr_{name}", "jobId": "job_1"}
    event = {"id": str(next(_ids)), "type": TYPES[kind], "apiVersion": "v1", **about, "data": data}
    return json.dumps(event).encode()


def store(endpoint: WebhookEndpoint, bodies: Iterable[bytes]) -> None:
    """Insert verified deliveries, as the receiver does."""
    rows = []
    for body in bodies:
        event = json.loads(body)
        rows.append(
            WebhookEvent(
                endpoint=endpoint,
                digest=hashlib.sha256(body).hexdigest(),
                event_id=event["id"],
                type=event["type"],
                resource_id=event["resourceId"],
                job_id=event["jobId"],
                body=body,
                received_at=timezone.now(),
            )
        )
    WebhookEvent.objects.bulk_create(rows, batch_size=1000)


# The floor ------------------------------------------------------------------------------------


def floor_store(bodies: Iterable[bytes]) -> None:
    """Insert the same for the floor."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO floor_event (status, body) VALUES ('PENDING', %s)", [[body] for body in bodies]
        )


def floor_drain(size: int) -> int:
    """Process all of the floor's events, ``size`` in a transaction; returns how many there were."""
    total = 0
    while done := floor_batch(size):
        total += done
    return total


def floor_batch(size: int) -> int:
    """One transaction of it; returns how many events it had."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CLAIM, [size])
        rows = cursor.fetchall()
        for pk, body in rows:
            event = json.loads(bytes(body))
            contract = event["data"]["contract"]
            if budget := event["data"].get("budget"):
                cursor.execute(BUDGET, [budget["state"], contract["id"]])
                cursor.execute(PAUSE, ["GRANTED", contract["id"]])
            else:
                person, ended = event["data"]["freelancer"], event["type"] == TYPES["ended"]
                cursor.execute(
                    CONTRACT,
                    [contract["id"], contract["jobId"], contract["title"], "ended" if ended else "active"],
                )
                desired = "REVOKED" if ended else "GRANTED"
                cursor.execute(
                    GRANT, [contract["id"], person["opentrainUserId"], person["workEmail"], desired]
                )
            cursor.execute(MARK, [pk])
    return len(rows)


# Measuring ------------------------------------------------------------------------------------


class Statements:
    """How many statements were executed, those that begin and end transactions not counted."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        self.count += 1
        return execute(*args)


def cpu_seconds(drain: Callable[[], int], expected: int) -> float:
    """CPU time to process what waits. Raises ``SystemExit`` if that was another number."""
    began = time.process_time()
    done = drain()
    took = time.process_time() - began
    if done != expected:
        raise SystemExit(f"Expected {expected} events, processed {done}")
    return took


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What an event costs in one process, and beside others."""
    kinds = kinds_of(options.mix)
    with database():
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
        yield from measure_burst(kinds, options.events, options.rounds)
        yield from measure_workers(kinds, options)


def measure_burst(kinds: Sequence[str], events: int, rounds: int) -> Iterator[Line]:
    """The medians in one process, of one customer's burst."""
    endpoint = make_endpoint(make_install("burst"))
    contracts = max(events // len(kinds), 1)
    count, counted = contracts * len(kinds), Statements()
    floors, ours = {size: list[float]() for size in FLOORS}, list[float]()
    for number in range(rounds + 1):  # the first one warms up, and is counted
        bodies = list(story(kinds, contracts, "burst"))
        for size, costs in floors.items():
            floor_store(bodies)
            costs.append(cpu_seconds(partial(floor_drain, size), count) / count)
        store(endpoint, bodies)
        with nullcontext() if number else connection.execute_wrapper(counted):
            ours.append(cpu_seconds(inbox.drain, count) / count)
    check()
    for size, costs in floors.items():
        yield Line(
            name=f"an event; the floor has {size} in a transaction",
            unit="ms CPU",
            ours=1000 * statistics.median(ours[1:]),
            floor=1000 * statistics.median(costs[1:]),
            share=WANTED if size == 1 else None,
        )
    yield Line(
        name="an event in a burst", unit="statements", ours=counted.count / count, limit=WANTED_STATEMENTS
    )


def check() -> None:
    """Raises ``SystemExit`` unless all have taken effect."""
    left = WebhookEvent.objects.exclude(status=WebhookEvent.Status.PROCESSED)
    if left.exists():
        raise SystemExit(f"{left.count()} events were not processed: {left[0].error}")


# Several workers ------------------------------------------------------------------------------


#: Of one process: its end by ``time.perf_counter()``, and how many events, seconds of CPU and statements it had.
Result: TypeAlias = tuple[float, int, float, int]


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What several processes have used for an event, on average."""

    seconds: float
    #: Of the processes and of PostgreSQL's for them.
    cpu_seconds: float
    statements: float
    commits: float
    #: How many processes waited for a lock.
    waiting: float


def measure_workers(kinds: Sequence[str], options: argparse.Namespace) -> Iterator[Line]:
    """What an event takes with so many workers, and what more of them add; beside as many of the floor's."""
    endpoints = [make_endpoint(make_install(f"customer{number}")) for number in range(options.installs)]
    contracts = max(options.events // len(kinds) // options.installs, 1)
    ours: dict[int, list[Drained]] = {workers: [] for workers in options.processes}
    floors: dict[int, list[Drained]] = {workers: [] for workers in options.processes}
    # Of one contract each to warm up with, and then of all.
    sizes = (1, contracts)
    for _round, workers in itertools.product(range(options.rounds), options.processes):
        bodies = [[list(story(kinds, size, f"customer{each.pk}")) for each in endpoints] for size in sizes]
        floor_stores = [partial(_floor_store_by_contract, each) for each in bodies]
        floors[workers].append(drain_together(workers, partial(floor_drain, FLOORS[-1]), *floor_stores))
        stores = [partial(_store_in_turns, endpoints, each) for each in bodies]
        ours[workers].append(drain_together(workers, inbox.drain, *stores))
        check()
    for workers in options.processes:
        name = f"an event, {options.installs} customers, {workers} workers"
        yield from _used(name, ours[workers], floors[workers])
    for fewer, more in itertools.pairwise(options.processes):
        yield Line(
            name=f"{more} workers, of the time of {fewer}",
            unit="ratio",
            ours=_ratio(ours, more, fewer),
            floor=_ratio(floors, more, fewer),
            limit=_wanted(more, fewer),
        )


def _store_in_turns(endpoints: Sequence[WebhookEndpoint], stories: Sequence[Sequence[bytes]]) -> int:
    """Store events as they come in, the customers' between each other's. Returns how many there are."""
    for start in range(0, len(stories[0]), 10):
        for endpoint, bodies in zip(endpoints, stories, strict=True):
            store(endpoint, bodies[start : start + 10])
    return sum(map(len, stories))


def _floor_store_by_contract(stories: Iterable[Iterable[bytes]]) -> int:
    """The same for the floor, whose processes claim no customer: in turns they would wait for each other's rows."""
    bodies = sorted(
        itertools.chain.from_iterable(stories), key=lambda body: str(json.loads(body)["resourceId"])
    )
    floor_store(bodies)
    return len(bodies)


def _used(name: str, ours: Sequence[Drained], floors: Sequence[Drained]) -> Iterator[Line]:
    """The medians of several rounds."""

    def median(rounds: Sequence[Drained], field: str) -> float:
        values: list[float] = [getattr(each, field) for each in rounds]
        return statistics.median(values)

    for field, unit in (("seconds", "ms"), ("cpu_seconds", "ms CPU, with PostgreSQL's")):
        yield Line(
            name=f"{name}: {field}",
            unit=unit,
            ours=1000 * median(ours, field),
            floor=1000 * median(floors, field),
        )
    for field in ("statements", "commits"):
        yield Line(name=f"{name}: {field}", unit=field, ours=median(ours, field), floor=median(floors, field))
    waiting = statistics.mean(each.waiting for each in ours)
    yield Line(name=f"{name}: waits", unit="workers that wait for a lock", ours=waiting, limit=0)


def _ratio(rounds: dict[int, list[Drained]], more: int, fewer: int) -> float:
    pairs = zip(rounds[more], rounds[fewer], strict=True)
    return statistics.median(one.seconds / other.seconds for one, other in pairs)


def _wanted(more: int, fewer: int) -> float | None:
    if more > (os.cpu_count() or 1):
        return WANTED_SHARING
    if {more, fewer} <= WANTED_SPEED.keys():
        return round(WANTED_SPEED[fewer] / WANTED_SPEED[more], 3)
    return None


def drain_together(
    workers: int, drain: Callable[[], int], warming: Callable[[], int], stored: Callable[[], int]
) -> Drained:
    """Have so many processes drain what ``stored`` stores, once they have shared what ``warming`` does.

    Raises ``SystemExit`` if they processed another number.
    """
    warming()
    connection.close()
    forking = multiprocessing.get_context("fork")
    together, results = forking.Barrier(workers + 1), forking.SimpleQueue()
    children = [forking.Process(target=_drain, args=(drain, together, results)) for _ in range(workers)]
    for child in children:
        child.start()
    together.wait(60)
    events, before = stored(), _commits()
    together.wait(60)
    began = time.perf_counter()
    samples = [_waiting()]
    while any(child.is_alive() for child in children):
        time.sleep(0.02)
        samples.append(_waiting())
    if any(child.exitcode for child in children):
        raise SystemExit("A worker has failed.")
    ends, *sums = zip(*(results.get() for _ in children), strict=True)
    done, cpu, statements = map(sum, sums)
    if done != events:
        raise SystemExit(f"Expected {events} events, processed {done}")
    return Drained(
        seconds=(max(ends) - began) / events,
        cpu_seconds=cpu / events,
        statements=statements / events,
        # Each sample was one.
        commits=(_commits() - before - len(samples)) / events,
        waiting=statistics.mean(samples),
    )


def _drain(drain: Callable[[], int], together: Barrier, results: SimpleQueue[Result]) -> None:
    drain()
    # So that PostgreSQL counts the commits until here before it is asked.
    time.sleep(1.1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    together.wait(60)
    together.wait(60)
    counted = Statements()
    began = time.process_time() + _server_seconds()
    with connection.execute_wrapper(counted):
        done = drain()
    end, cpu = time.perf_counter(), time.process_time() + _server_seconds() - began
    connection.close()
    results.put((end, done, cpu, counted.count))


def _server_seconds() -> float:
    """CPU time of the PostgreSQL process that serves this one. Source: the kernel's sched-stats.rst."""
    backend: int = connection.connection.info.backend_pid
    nanoseconds, *_rest = Path(f"/proc/{backend}/schedstat").read_text().split()
    return int(nanoseconds) / 1e9


def _waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (count,) = cursor.fetchone()
    return int(count)


def _commits() -> int:
    # A backend's statistics are there once it has ended, and its own at the latest a second later.
    connection.close()
    time.sleep(1.1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        (count,) = cursor.fetchone()
    return int(count)


def kinds_of(mix: str) -> list[str]:
    """``started=1,ended=2`` as a list of each event that a contract has."""
    kinds = []
    for part in mix.split(","):
        kind, _equals, times = part.partition("=")
        kinds += [kind] * int(times or 1)
    return kinds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    # So many that it hardly counts when one worker is done before the others.
    parser.add_argument("--events", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mix", default="started=1,milestone=6,ended=1", help="the events of each contract")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4], help="so many workers")
    parser.add_argument("--installs", type=int, default=50, help="customers, for several workers")
    command(measure, parser)


if __name__ == "__main__":
    main()
