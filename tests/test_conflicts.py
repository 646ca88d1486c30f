"""What the database undoes is repeated, and nothing else. With real conflicts: services/test_at_once.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.db.utils import ConnectionHandler

from django_opentrain import conflicts
from django_opentrain.conflicts import is_conflict, retried, statements_retried
from django_opentrain.models import Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def connected_and_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "PAUSES", (0.0,) * 8)
    # A new one begins with statements of Django's own.
    connection.ensure_connection()


class DriverError(Exception):
    """psycopg's, with its ``sqlstate``, or psycopg2's, with its ``pgcode``."""

    def __init__(self, **code: str) -> None:
        super().__init__()
        self.__dict__ |= code


def raised(error: DatabaseError, **code: str) -> DatabaseError:
    """As Django raises it: from the driver's."""
    error.__cause__ = DriverError(**code) if code else None
    return error


CONFLICTS = [
    raised(OperationalError("could not serialize access"), sqlstate="40001"),
    raised(OperationalError("could not serialize access"), pgcode="40001"),
    raised(OperationalError("deadlock detected"), sqlstate="40P01"),
    # PyMySQL's errors have the standard's SQLSTATE, too.
    raised(OperationalError(1020, "Record has changed since last read"), sqlstate="HY000"),
    raised(OperationalError(1205, "Lock wait timeout exceeded")),
    raised(OperationalError(1213, "Deadlock found")),
    OperationalError("database is locked"),
]
OTHERS = [
    OperationalError("no such table"),
    OperationalError(2006, "Server has gone away"),
    raised(OperationalError("the database system is shutting down"), sqlstate="57P01"),
    raised(IntegrityError("violates foreign key constraint"), sqlstate="23503"),
    IntegrityError("UNIQUE constraint failed"),
    DatabaseError(),
    ValueError(1213),
]


def test_sqlite_says_that_it_is_locked_in_these_words(tmp_path: Path) -> None:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "site", "OPTIONS": {"timeout": 0}}
    one, other = (ConnectionHandler({"default": database})["default"] for _ in range(2))
    with one.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError) as caught:
            other.cursor().execute("CREATE TABLE a (b)")
    one.close()
    other.close()
    assert is_conflict(caught.value)


def failing(error: Exception, *, times: int) -> tuple[Callable[[], str], list[None]]:
    """A step that fails so often, and a list that has an item for each call."""
    calls: list[None] = []

    @retried
    def step() -> str:
        calls.append(None)
        if len(calls) <= times:
            raise error
        return "done"

    return step, calls


@pytest.mark.parametrize("error", CONFLICTS, ids=str)
def test_a_conflict_is_repeated(error: DatabaseError) -> None:
    step, calls = failing(error, times=3)
    assert step() == "done"
    assert len(calls) == 4


def test_but_not_for_ever() -> None:
    step, calls = failing(CONFLICTS[0], times=100)
    with pytest.raises(OperationalError):
        step()
    assert len(calls) == 1 + len(conflicts.PAUSES)


def test_nor_after_a_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "MAX_SECONDS", -1.0)
    step, calls = failing(CONFLICTS[0], times=1)
    with pytest.raises(OperationalError):
        step()
    assert len(calls) == 1


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_nothing_else_is(error: Exception) -> None:
    step, calls = failing(error, times=1)
    with pytest.raises(type(error)):
        step()
    assert len(calls) == 1


@pytest.mark.parametrize(
    "error",
    [raised(IntegrityError("duplicate key"), sqlstate="23505"), IntegrityError(1062, "Duplicate entry")],
    ids=str,
)
def test_what_another_transaction_created_is_seen_by_the_next_one(error: DatabaseError) -> None:
    step, calls = failing(error, times=1)
    assert step() == "done"
    step, calls = failing(error, times=100)
    with pytest.raises(IntegrityError):
        step()
    assert len(calls) == 2


@pytest.mark.django_db
def test_inside_of_another_transaction_nothing_is() -> None:
    """What that one did before is undone, too."""
    step, calls = failing(CONFLICTS[0], times=1)
    with pytest.raises(OperationalError):
        step()
    assert len(calls) == 1


class FailsOnce:
    """The next statement of this connection is undone."""

    def __init__(self) -> None:
        self.statements = 0

    def __call__(self, execute: Any, *statement: Any) -> Any:
        self.statements += 1
        if self.statements == 1:
            raise CONFLICTS[0]
        return execute(*statement)


def test_a_statement_of_its_own_is_repeated() -> None:
    undone = FailsOnce()
    with statements_retried(), statements_retried(), connection.execute_wrapper(undone):
        assert not Heartbeat.objects.exists()
    assert undone.statements == 2
    with connection.execute_wrapper(FailsOnce()), pytest.raises(OperationalError):
        Heartbeat.objects.exists()


def test_but_not_the_hosts() -> None:
    with statements_retried(), connection.execute_wrapper(FailsOnce()), pytest.raises(OperationalError):
        Group.objects.exists()


@pytest.mark.django_db
def test_nor_one_inside_of_a_transaction() -> None:
    with statements_retried(), connection.execute_wrapper(FailsOnce()), pytest.raises(OperationalError):
        Heartbeat.objects.exists()
