"""Connections that a process keeps, and what becomes of a delivery when one no longer serves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import django
import pymysql
import pytest
from django.db import DatabaseError, InternalError, connection
from django.db.backends.signals import connection_created

from django_opentrain import tasks
from django_opentrain.models import Heartbeat, WebhookEndpoint, WebhookEvent
from django_opentrain.services import inbox
from tests.factories import make_endpoint, make_install
from tests.services.test_inbox import body_of, signed

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has no server"),
    pytest.mark.skipif("TEST_PORT" in os.environ, reason="behind a pool, sessions are shared with others"),
]
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's")

#: How a session becomes one that takes no writes, as all of a demoted primary are.
READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}
ISOLATION = {"postgresql": "SHOW transaction_isolation", "mysql": "SELECT @@tx_isolation"}


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint(make_install())


def deliver(endpoint: WebhookEndpoint) -> inbox.Receipt:
    body = body_of(id=str(WebhookEvent.objects.count()))
    return inbox.receive(endpoint.key, signed(endpoint, body), body)


def execute(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


def elsewhere(*statements: str) -> None:
    """In a session of its own."""
    other: Any = connection.copy()
    try:
        with other.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)
    finally:
        other.close()


def end_all_sessions() -> None:
    """As a restart of the server does."""
    if connection.vendor == "mysql":
        elsewhere(f"KILL {execute('SELECT CONNECTION_ID()')[0]}")
    else:
        elsewhere(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def older_pymysql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.2 it opened a new session when it was asked whether the old one works."""
    if connection.vendor == "mysql":
        ping: Any = pymysql.connections.Connection.ping
        monkeypatch.setattr(ping, "__defaults__", (True,))


@pytest.mark.filterwarnings("ignore:The 'reconnect' argument")
@pytest.mark.usefixtures("older_pymysql")
@pytest.mark.parametrize("known", [False, True])
def test_after_a_restart_the_first_delivery_is_stored(endpoint: WebhookEndpoint, known: bool) -> None:
    if known:
        deliver(endpoint)
    isolation = execute(ISOLATION[connection.vendor])
    body = body_of(id="after")
    headers = signed(endpoint, body)
    end_all_sessions()
    inbox.receive(endpoint.key, headers, body)
    assert WebhookEvent.objects.filter(event_id="after").exists()
    assert execute(ISOLATION[connection.vendor]) == isolation, "the new session has Django's settings"


def test_a_session_of_a_demoted_primary_is_left(endpoint: WebhookEndpoint) -> None:
    body = body_of()
    headers = signed(endpoint, body)
    execute(READ_ONLY[connection.vendor])
    inbox.receive(endpoint.key, headers, body)
    assert WebhookEvent.objects.exists()


def test_a_worker_leaves_it_with_the_task_that_failed() -> None:
    execute(READ_ONLY[connection.vendor])
    with pytest.raises(DatabaseError):
        tasks.sweep()
    tasks.sweep()
    assert Heartbeat.objects.exists()


@on_postgresql
def test_where_there_is_no_other_primary_it_is_refused(endpoint: WebhookEndpoint) -> None:
    body = body_of()
    headers = signed(endpoint, body)
    opened: list[object] = []

    def count(**news: object) -> None:
        opened.append(news)

    database = connection.settings_dict["NAME"]
    elsewhere(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    try:
        execute(READ_ONLY["postgresql"])
        connection_created.connect(count)
        with pytest.raises(InternalError):
            inbox.receive(endpoint.key, headers, body)
    finally:
        connection_created.disconnect(count)
        connection.close()
        elsewhere(
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {database} RESET default_transaction_read_only",
        )
    assert len(opened) == 1
    assert not WebhookEvent.objects.exists()


# A pool of connections --------------------------------------------------------------------------

POOL_SIZE = 5


@pytest.fixture
def pool(endpoint: WebhookEndpoint) -> Iterator[None]:
    """Django's own, full of connections."""
    pytest.importorskip("psycopg_pool")
    pooled: Any = connection
    options = pooled.settings_dict["OPTIONS"]
    pooled.close()
    pooled.settings_dict["OPTIONS"] = options | {"pool": {"min_size": POOL_SIZE, "max_size": POOL_SIZE}}
    pooled.pool.open(wait=True)
    yield
    pooled.close()
    pooled.close_pool()
    pooled.settings_dict["OPTIONS"] = options


def make_read_only() -> None:
    """All connections that the pool has now."""
    pooled: Any = connection
    taken = [pooled.pool.getconn() for _number in range(POOL_SIZE)]
    for each in taken:
        each.execute(READ_ONLY["postgresql"])
        pooled.pool.putconn(each)


@on_postgresql
@pytest.mark.skipif(django.VERSION < (5, 1), reason="Django's pool is from 5.1")
@pytest.mark.parametrize("spoil", [end_all_sessions, make_read_only])
def test_a_pool_of_stale_connections_costs_no_delivery(
    endpoint: WebhookEndpoint, pool: None, spoil: Callable[[], None]
) -> None:
    deliver(endpoint)
    bodies = [body_of(id=f"after {number}") for number in range(3)]
    headers = [signed(endpoint, body) for body in bodies]
    connection.close()
    spoil()
    for body, signature in zip(bodies, headers, strict=True):
        inbox.receive(endpoint.key, signature, body)
        connection.close()
    assert WebhookEvent.objects.filter(event_id__startswith="after").count() == len(bodies)
