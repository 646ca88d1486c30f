"""Run the demo on PostgreSQL and the broker that is named, in a database and a queue that go afterwards.

Usage: ``python .ci/demo_on_servers.py amqp://guest:guest@127.0.0.1:5672//`` (in an environment that has the demo's
packages: tox makes one). The exit status is the demo's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from kombu import Connection
from psycopg import sql

SERVER = "postgres://postgres@127.0.0.1:5432"


@contextmanager
def database(name: str) -> Iterator[str]:
    """The URL of a new database, which is dropped at the end, even if it has connections."""
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{SERVER}/{name}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def queue(broker: str, name: str) -> Iterator[str]:
    """The name of a queue that is removed from the broker at the end."""
    try:
        yield name
    finally:
        with Connection(broker) as connection, connection.channel() as channel:
            channel.queue_delete(name)


def main(broker: str) -> int:
    """Run the demo on ``broker``; returns its exit status."""
    name = f"opentrain_demo_{os.getpid()}"
    with database(name) as database_url, queue(broker, name):
        surroundings = {"DATABASE_URL": database_url, "CELERY_BROKER_URL": broker, "CELERY_QUEUE": name}
        demo = [sys.executable, "-m", "example_project.demo"]
        return subprocess.run(demo, env=os.environ | surroundings, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
