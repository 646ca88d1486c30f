"""What the purge costs on a large site, with nothing and with something to forget.

::

    python -m benchmarks.purge [--events 1000000] [--participants 100000] [--old 20000] [--rounds 3] [--explain]

Most events are older than their retention and their bodies are gone; ``--old`` bodies are past it. Printed are the
seconds, the statements and the longest statement of a run with nothing to forget, and of one that empties these
bodies, beside a single UPDATE of the same rows; and of ``opentrain_work`` from cron when nothing is due.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Model  # noqa: E402
from django.test.utils import setup_databases, teardown_databases  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_opentrain.models import Contract, Participant, WebhookEvent  # noqa: E402
from django_opentrain.services import purge  # noqa: E402
from tests.factories import (  # noqa: E402
    make_contract,
    make_endpoint,
    make_event,
    make_install,
    make_link,
    make_participant,
)

#: Seconds that a transaction may take, and a run with nothing to forget.
WANTED = 1.0
DAYS = 365


class Statements:
    """The statements of a block, and how long they took."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.longest: tuple[str, Any] = ("", ())

    def __call__(self, execute: Any, sql: str, params: Any, *more: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, *more)
        finally:
            self.seconds.append(time.perf_counter() - began)
            if self.seconds[-1] == max(self.seconds):
                self.longest = (sql, params)


def multiply(row: Model, count: int, **columns: str) -> None:
    """Copy a row inside the database: ``columns`` are SQL, in which ``n`` is the copy's number."""
    fields = [field.attname for field in row._meta.concrete_fields if not field.primary_key]
    selected = ", ".join(columns.get(name, name) for name in fields)
    numbers = {
        "postgresql": f"generate_series(1, {count}) n",
        "mysql": f"(SELECT seq AS n FROM seq_1_to_{count}) numbers",
    }.get(
        connection.vendor,
        f"(WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {count}) SELECT n FROM t)",
    )
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(fields)}) SELECT {selected} FROM {table}, {numbers}"
            f" WHERE {table}.id = {row.pk}"
        )


def text(prefix: str) -> str:
    """SQL of a text with the copy's number."""
    return f"CONCAT('{prefix}', n)" if connection.vendor != "sqlite" else f"'{prefix}' || n"


def ago(days: str) -> str:
    """SQL of the moment so many days ago; ``days`` is SQL, too."""
    now = timezone.now()
    return {
        "postgresql": f"'{now.isoformat()}'::timestamptz - ({days}) * interval '1 day'",
        "mysql": f"DATE_SUB('{now:%Y-%m-%d %H:%M:%S}', INTERVAL FLOOR(({days}) * 86400) SECOND)",
    }.get(connection.vendor, f"datetime('{now:%Y-%m-%d %H:%M:%S}', '-' || ({days}) || ' days')")


def fill(events: int, participants: int) -> None:
    """Events of a year, whose bodies are gone where they are old; trainers, all of them hired."""
    install = make_install()
    event = make_event(make_endpoint(install), status=WebhookEvent.Status.PROCESSED)
    share = f"{DAYS}.0 - n * {DAYS}.0 / {events}"
    multiply(
        event,
        events,
        digest=text("digest "),
        event_id=text("event "),
        received_at=ago(share),
        body=f"CASE WHEN {share} > 31 THEN NULL ELSE body END",
    )
    trainer = make_participant(install)
    contract = make_contract(install, [make_link(install)], trainer=trainer)
    multiply(trainer, participants, opentrain_user_id=text("usr "), updated_at=ago("90"))
    first = Participant.objects.filter(pk__gt=trainer.pk).order_by("pk").values_list("pk", flat=True)[0]
    multiply(contract, participants, opentrain_id=text("contract "), trainer_id=f"{first} + n - 1")
    for model in (WebhookEvent, Participant, Contract, Contract.links.through):
        analyze(model._meta.db_table)


def analyze(table: str) -> None:
    """Let the database know what is in it."""
    with connection.cursor() as cursor:
        cursor.execute(f"{'ANALYZE TABLE' if connection.vendor == 'mysql' else 'ANALYZE'} {table}")


def make_old(count: int) -> list[int]:
    """Give the newest of the old events bodies that are past their retention; returns their keys."""
    kept = WebhookEvent.objects.filter(body__isnull=True).order_by("-received_at")[:count]
    keys = list(kept.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        body = WebhookEvent.objects.filter(body__isnull=False).values_list("pk", flat=True)[0]
        chosen = ", ".join(map(str, keys))
        table = WebhookEvent._meta.db_table
        cursor.execute(f"SELECT body FROM {table} WHERE id = {body}")
        cursor.execute(f"UPDATE {table} SET body = %s WHERE id IN ({chosen})", cursor.fetchone())
    analyze(table)
    return keys


def bare_update(keys: list[int]) -> None:
    """The floor: one statement."""
    with connection.cursor() as cursor:
        chosen = ", ".join(map(str, keys))
        cursor.execute(f"UPDATE {WebhookEvent._meta.db_table} SET body = NULL WHERE id IN ({chosen})")


@contextmanager
def watched() -> Iterator[Statements]:
    """The statements of the block."""
    statements = Statements()
    with connection.execute_wrapper(statements):
        yield statements


def measure(
    name: str, step: Callable[[], object], prepare: Callable[[], object], rounds: int, explain: bool
) -> None:
    """Print the median seconds, the statements, and the longest of them."""
    seconds = []
    for _round in range(rounds):
        prepare()
        began = time.perf_counter()
        with watched() as statements:
            step()
        seconds.append(time.perf_counter() - began)
    print(
        f"  {name:28} {statistics.median(seconds):7.3f} s, {len(statements.seconds)} statements,"
        f" the longest {max(statements.seconds):.3f} s (wanted: {WANTED})"
    )
    if explain and statements.longest[0].startswith("SELECT"):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {statements.longest[0]}", statements.longest[1])
            print(*(f"    {' '.join(map(str, line))}" for line in cursor.fetchall()), sep="\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--participants", type=int, default=100_000)
    parser.add_argument("--old", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--explain", action="store_true", help="print the plan of the longest statement")
    options = parser.parse_args()
    rounds, explain = options.rounds, options.explain
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        fill(options.events, options.participants)
        print(f"purge: {connection.vendor}, {options.events} events, {options.participants} trainers")
        purge.run()
        keys: list[int] = []

        def make_old_ones() -> None:
            keys[:] = make_old(options.old)

        measure("nothing to forget", purge.run, bool, rounds, explain)
        measure(f"{options.old} bodies", purge.run, make_old_ones, rounds, explain)
        measure("the same, one UPDATE", lambda: bare_update(keys), make_old_ones, rounds, explain=False)
        work = lambda: call_command("opentrain_work", stdout=io.StringIO())  # noqa: E731
        measure("opentrain_work, each minute", work, bool, rounds, explain)
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
