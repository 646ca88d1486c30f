"""What usage costs: adding to a day's totals beside a bare upsert, and reporting beside a session that only sends.

::

    python -m benchmarks.usage [--adds 1000] [--processes 8] [--contracts 40] [--rows 250] [--rounds 5]
                               [--latency 0.02]

Floors, in the same run and alternating rounds:

- ``add``: one ``INSERT … ON CONFLICT DO UPDATE`` through Django's cursor, into a table with the same columns and
  indexes, as CPU time in one process, and as rows a second with several processes on one hot row;
- ``report``: a ``requests.Session`` that posts the same bodies one after the other, to the same server on this
  machine: at once, and with a server that takes ``--latency`` seconds for each answer.

Printed are the medians of the rounds' ratios: above 1 is faster than the floor, for ``add``; for ``report`` it is how
many times as long it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()

import requests  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.test.utils import override_settings, setup_databases, teardown_databases  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_opentrain.models import Contract, DailyUsage  # noqa: E402
from django_opentrain.platform.catalog import API_PATH  # noqa: E402
from django_opentrain.services import usage  # noqa: E402
from django_opentrain.tasks import collect_and_report_usage  # noqa: E402
from tests.factories import make_contract, make_install, make_participant  # noqa: E402

FORK = multiprocessing.get_context("fork")
#: Shares of the floor, or multiples of its time, that are asked for.
WANTED_ADD, WANTED_HOT, WANTED_REPORT, WANTED_AHEAD = 0.6, 0.6, 1.5, 1.0
WANTED_STATEMENTS = 0.05
PER_REQUEST = 100

FLOOR = "benchmark_usage_floor"
ON_CONFLICT = {"mysql": "ON DUPLICATE KEY UPDATE"}
#: A row's columns: what differs between rows, and constants.
UPSERT = f"""
INSERT INTO {FLOOR} (contract_id, worker_id, work_date, total_seconds, tasks_completed, hours_withheld,
 external_report_id, revision, reported_revision, status, error, error_code, created_at, updated_at)
VALUES (%s, '', %s, %s, %s, FALSE, '', 1, 0, 'DUE', '', '', %s, %s)
{{}} total_seconds = {FLOOR}.total_seconds + %s, tasks_completed = {FLOOR}.tasks_completed + %s,
 revision = {FLOOR}.revision + 1, status = 'DUE', updated_at = %s
"""


# Adding ---------------------------------------------------------------------------------------


def make_floor() -> None:
    """A table as that of daily usage, without the foreign key's trigger."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            table = connection.ops.quote_name(DailyUsage._meta.db_table)
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [DailyUsage._meta.db_table])
            cursor.execute(cursor.fetchone()[0].replace(table, FLOOR, 1))
            cursor.execute(f"CREATE UNIQUE INDEX floor_once ON {FLOOR} (contract_id, worker_id, work_date)")
            return
        including = "INCLUDING ALL" if connection.vendor == "postgresql" else ""
        like = f"(LIKE {DailyUsage._meta.db_table} {including})" if including else None
        cursor.execute(f"CREATE TABLE {FLOOR} {like or f'LIKE {DailyUsage._meta.db_table}'}")


def bare_add(contract: Contract, number: int) -> None:
    """What any counter has to do at least."""
    clause = ON_CONFLICT.get(
        connection.vendor, "ON CONFLICT (contract_id, worker_id, work_date) DO UPDATE SET"
    )
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    day = connection.ops.adapt_datefield_value(usage.today() - timedelta(days=number % 100))
    with connection.cursor() as cursor:
        cursor.execute(UPSERT.format(clause), [contract.pk, day, 60, 1, now, now, 60, 1, now])


def our_add(contract: Contract, number: int) -> None:
    """The same with the package."""
    usage.add(contract, usage.today() - timedelta(days=number % 100), total_seconds=60, tasks_completed=1)


def cpu_seconds(step: Callable[[Contract, int], None], contract: Contract, count: int) -> float:
    """CPU time of this process for so many additions, to a hundred days in turn."""
    began = time.process_time()
    for number in range(count):
        step(contract, number)
    return time.process_time() - began


def measure_add(contract: Contract, adds: int, rounds: int) -> None:
    """Print the share of the floor's throughput by CPU, and the statements of one addition."""
    pairs = []
    for _round in range(rounds + 1):  # the first one warms up
        floor = cpu_seconds(bare_add, contract, adds)
        pairs.append((floor, cpu_seconds(our_add, contract, adds)))
    floor, ours = (statistics.median(each) for each in zip(*pairs[1:], strict=True))
    ratio = statistics.median(floor / ours for floor, ours in pairs[1:])
    with counted() as statements:
        our_add(contract, 0)
    print(
        f"  add, CPU                 {ratio:5.2f}  (wanted: {WANTED_ADD})  {ours / adds * 1000:.2f} ms,"
        f" floor {floor / adds * 1000:.2f} ms, {len(statements)} statement(s)"
    )


def hot_row(step: Callable[[Contract, int], None], contract: Contract, count: int, processes: int) -> float:
    """Additions a second, of so many processes to one day."""
    connections.close_all()
    workers = [FORK.Process(target=_add_all, args=(step, contract, count)) for _ in range(processes)]
    began = time.perf_counter()
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    if any(each.exitcode for each in workers):
        raise SystemExit("A process has failed.")
    return count * processes / (time.perf_counter() - began)


def _add_all(step: Callable[[Contract, int], None], contract: Contract, count: int) -> None:
    for _number in range(count):
        step(contract, 0)
    connections.close_all()


def measure_hot_row(contract: Contract, adds: int, processes: int, rounds: int) -> None:
    """Print the share of the floor's throughput with several processes on one row."""
    pairs = [
        (hot_row(bare_add, contract, adds, processes), hot_row(our_add, contract, adds, processes))
        for _round in range(rounds)
    ]
    ratio = statistics.median(ours / floor for floor, ours in pairs)
    floor, ours = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(
        f"  add, {processes} on one row        {ratio:5.2f}  (wanted: {WANTED_HOT})  {ours:.0f}/s,"
        f" floor {floor:.0f}/s"
    )


# Reporting ------------------------------------------------------------------------------------

ANSWER = json.dumps(
    {
        "contractId": "ctr",
        "accepted": PER_REQUEST,
        "budget": {
            "contractId": "ctr",
            "paymentType": "PAY_PER_HOUR",
            "state": "OK",
            "fundedVolume": 1000,
            "fundedAmountUsd": 1000,
            "consumed": {"seconds": 3600, "hours": 1, "labels": 0, "tasks": 0},
            "consumedVolume": 1,
            "remainingVolume": 999,
            "consumedFraction": 0.001,
            "activeMilestone": None,
            "lastUsageAt": None,
        },
    }
).encode()


async def _answer_all(latency: float, ready: Connection) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
            ANSWER
        )
        while request := await _read(reader):
            if latency:
                await asyncio.sleep(latency)
            writer.write(head + ANSWER)
            await writer.drain()
            del request
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def _serve(latency: float, ready: Connection) -> None:
    asyncio.run(_answer_all(latency, ready))


@contextmanager
def opentrain(latency: float) -> Iterator[str]:
    """A server that accepts every report; its origin."""
    ours, theirs = FORK.Pipe()
    server = FORK.Process(target=_serve, args=(latency, theirs), daemon=True)
    connections.close_all()
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        server.kill()
        server.join()


def bodies(contracts: int, rows: int) -> Iterator[tuple[str, bytes]]:
    """Path and body of each request that reporting has to make."""
    days = [usage.today() - timedelta(days=number) for number in range(rows)]
    entries = [
        {"workDate": day.isoformat(), "totalSeconds": 3600, "tasksCompleted": 12, "labelsCompleted": 40}
        for day in sorted(days)
    ]
    for number in range(contracts):
        for begin in range(0, rows, PER_REQUEST):
            batch = entries[begin : begin + PER_REQUEST]
            yield f"{API_PATH}/contracts/ctr_{number}/usage", json.dumps({"entries": batch}).encode()


def send_all(origin: str, calls: list[tuple[str, bytes]]) -> None:
    """The floor: one session, one request after the other."""
    headers = {"Authorization": "Bearer ot_ptk_x", "Content-Type": "application/json"}
    with requests.Session() as session:
        for path, body in calls:
            session.post(origin + path, data=body, headers=headers, timeout=20).raise_for_status()


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements of the block."""
    statements: list[str] = []

    def note(execute: Any, sql: str, *more: Any) -> Any:
        statements.append(sql)
        return execute(sql, *more)

    with connection.execute_wrapper(note):
        yield statements


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    began, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - began, time.process_time() - cpu


def report_all(rows: int) -> None:
    """The schedule's run. Raises ``SystemExit`` unless all rows are reported by it."""
    collect_and_report_usage()
    reported = DailyUsage.objects.filter(status=DailyUsage.Status.REPORTED).count()
    if reported != rows:
        raise SystemExit(f"Expected {rows} reported rows, got {reported}")


def make_due(contracts: int, rows: int, installs: int) -> None:
    """So many contracts of so many installs, each with ``rows`` days that are to be reported."""
    owners = [make_install(f"customer {number}") for number in range(installs)]
    trainers = [make_participant(each) for each in owners]
    days = [usage.today() - timedelta(days=number) for number in range(rows)]
    for number in range(contracts):
        contract = make_contract(
            owners[number % installs], trainer=trainers[number % installs], opentrain_id=f"ctr_{number}"
        )
        DailyUsage.objects.bulk_create(
            DailyUsage(
                contract=contract, work_date=day, total_seconds=3600, tasks_completed=12, labels_completed=40
            )
            for day in days
        )


def measure_report(contracts: int, rows: int, rounds: int, latency: float) -> None:
    """Print how many times as long as the floor reporting takes."""
    calls = list(bodies(contracts, rows))
    ratios, cpus, walls, statements = [], [], [], [""]
    with opentrain(latency) as origin:
        site = {**settings.OPENTRAIN, "BASE_URL": origin}
        with override_settings(OPENTRAIN=site):
            for _round in range(rounds + 1):  # the first one warms up
                DailyUsage.objects.update(status=DailyUsage.Status.DUE, reported_revision=0)
                with connection.cursor() as cursor:
                    cursor.execute("VACUUM" if connection.vendor != "mysql" else "SELECT 1")
                floor, floor_cpu = timed(lambda: send_all(origin, calls))
                with counted() as statements:
                    ours, cpu = timed(lambda: report_all(contracts * rows))
                ratios.append(ours / floor)
                cpus.append(cpu / floor_cpu)
                walls.append((ours, floor))
    ours, floor = (statistics.median(each) for each in zip(*walls[1:], strict=True))
    wanted = WANTED_AHEAD if latency else WANTED_REPORT
    print(
        f"  report, {latency * 1000:3.0f} ms answers   {statistics.median(ratios[1:]):5.2f}  (wanted: {wanted})"
        f"  {ours / len(calls) * 1000:.2f} ms a request, floor {floor / len(calls) * 1000:.2f} ms;"
        f" CPU {statistics.median(cpus[1:]):.2f};"
        f" {(len(statements) - 1) / (contracts * rows):.3f} statements a row (wanted: {WANTED_STATEMENTS})"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--adds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--contracts", type=int, default=40)
    parser.add_argument("--installs", type=int, default=8)
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        print(f"usage: {connection.vendor}, {options.rounds} rounds")
        make_floor()
        contract = make_contract(make_install("adding"))
        measure_add(contract, options.adds, options.rounds)
        if connection.vendor != "sqlite":
            measure_hot_row(contract, options.adds // 4, options.processes, options.rounds)
        DailyUsage.objects.all().delete()
        make_due(options.contracts, options.rows, options.installs)
        for latency in (0.0, options.latency):
            measure_report(options.contracts, options.rows, options.rounds, latency)
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
