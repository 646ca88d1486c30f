"""A database and a queue for each run, so that two runs don't interfere. They are removed at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from kombu import Connection, Exchange, Queue
from psycopg import sql

_POSTGRESQL = re.compile(r"(postgres(ql)?|psql|pgsql)$")


@contextmanager
def own_database(url: str, name: str) -> Iterator[str]:
    """The URL of a database of this run's own on the PostgreSQL server of ``url``; any other URL as it is."""
    parts = urlsplit(url)
    if not _POSTGRESQL.match(parts.scheme):
        yield url
        return
    server = urlunsplit(parts._replace(scheme="postgresql"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def own_queue(broker_url: str, name: str) -> Iterator[str]:
    """The name of a queue of this run's own, which is deleted at the end."""
    try:
        yield name
    finally:
        if not broker_url.startswith("filesystem:"):
            _delete_queue(broker_url, name)


def _delete_queue(broker_url: str, name: str) -> None:
    with Connection(broker_url, connect_timeout=5) as connection:
        # Declared as Celery does: Redis's transport only deletes what this connection knows.
        queue = Queue(name, Exchange(name), routing_key=name).bind(connection.default_channel)
        queue.declare()
        queue.delete()
        queue.exchange.delete()
