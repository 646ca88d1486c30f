"""Kept connections that no longer serve: their server was restarted, or takes no writes since another is primary."""

from __future__ import annotations

from typing import Final

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_opentrain.conflicts import error_codes
from django_opentrain.transactions import alias

#: PostgreSQL's read_only_sql_transaction; MariaDB's and MySQL's option prevents statement (``--read-only``), can't
#: execute in read-only transaction, and read-only mode.
_READ_ONLY: Final = frozenset({"25006", 1290, 1792, 1836})


def current() -> BaseDatabaseWrapper:
    """This thread's connection for our tables."""
    return connections[alias()]


def most_stale() -> int:
    """How many connections one after the other may turn out to be stale: all of a pool (Django 5.1), or the one."""
    return getattr(getattr(current(), "pool", None), "max_size", 1)


def discard_if_stale(error: Error) -> bool:
    """After ``error``: close the connection if it doesn't serve any more, so that the next use opens a new one.

    Returns whether it did. Inside of a transaction it doesn't: what that one did before would be lost silently.
    """
    connection = current()
    if connection.connection is None or connection.in_atomic_block:
        return False
    if _READ_ONLY.isdisjoint(error_codes(error)) and _is_usable(connection):
        return False
    if getattr(connection, "pool", None):
        # Else the pool takes it back, and gives it out again, if it can still be read from.
        connection.connection.close()
    connection.close()
    return True


def _is_usable(connection: BaseDatabaseWrapper) -> bool:
    # Asked by Django, PyMySQL before 1.2 opens a new session, which lacks Django's settings, and says yes.
    return bool(getattr(connection.connection, "open", True)) and connection.is_usable()
