"""Transactions that the database undoes because of another one, and expects again: at once, and a few times only.

Under REPEATABLE READ and SERIALIZABLE that is normal operation, and so is a deadlock under any isolation level. So no
attempt is counted and nothing is logged. Repeated is what is all in this database, and never the host's code or a
call to OpenTrain. Inside of another transaction nothing is: its owner repeats all of it.

Sources: PostgreSQL's documentation, "Serialization Failure Handling"; MariaDB's, "MariaDB Error Code Reference".
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar

from django.db import DatabaseError, Error, connections

from django_opentrain.transactions import alias

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds to wait before each repetition, with jitter.
PAUSES: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.8, 0.8)
#: The same where many processes write one row, and each is done with it soon: more of them, and short.
SHORT_PAUSES: Final = (0.0, *[0.05] * 60)
#: What has taken longer, such as a wait for a lock, is not repeated: OpenTrain waits ten seconds for an answer.
MAX_SECONDS: Final = 4.0

#: PostgreSQL's serialization_failure and deadlock_detected; MariaDB's and MySQL's record has changed since last read,
#: lock wait timeout and deadlock; SQLite's text, which older Pythons give no number: it ends at once whatever would
#: deadlock, and by default a wait of more than five seconds.
#: And our own, where a row was read without a lock and has changed by the time it is written.
CHANGED: Final = "a row has changed since it was read"
_CONFLICTS: Final = frozenset({"40001", "40P01", 1020, 1205, 1213, "database is locked", CHANGED})
#: PostgreSQL's unique_violation, and MariaDB's and MySQL's duplicate entry. Repeated once: the row may be one that
#: this transaction can't see, because it began before the one that created it.
_UNSEEN: Final = frozenset({"23505", 1062})


def is_conflict(error: BaseException) -> bool:
    """Whether the database has undone what was done because of another transaction."""
    return isinstance(error, DatabaseError) and not _CONFLICTS.isdisjoint(error_codes(error))


def error_codes(error: Error) -> set[object]:
    """The SQLSTATE (psycopg 3 and 2), and the number of MariaDB's or MySQL's error."""
    cause = error.__cause__
    return {getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None), *error.args[:1]}


def repeat_after_conflicts(step: Callable[[], T]) -> T:
    """Call ``step``, and again after a conflict: it is one transaction."""
    return _repeat(step, PAUSES)


def retried(step: Callable[P, T]) -> Callable[P, T]:
    """``step``, called again after a conflict: it is one transaction, and starts from what it is passed each time."""

    @wraps(step)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        return repeat_after_conflicts(partial(step, *args, **kwargs))

    return repeated


def retried_often(step: Callable[P, T]) -> Callable[P, T]:
    """As ``retried``, for what many processes do to one row at once."""

    @wraps(step)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        return _repeat(partial(step, *args, **kwargs), SHORT_PAUSES)

    return repeated


@contextmanager
def statements_retried() -> Iterator[None]:
    """Repeat each statement on our tables that is not in a transaction, after a conflict."""
    connection = connections[alias()]
    if _execute in connection.execute_wrappers:
        yield
        return
    with connection.execute_wrapper(_execute):
        yield


def _execute(execute: Callable[..., T], sql: str, params: Any, many: bool, context: Any) -> T:
    if "django_opentrain_" not in sql:
        return execute(sql, params, many, context)
    return repeat_after_conflicts(partial(execute, sql, params, many, context))


def _repeat(step: Callable[[], T], pauses: Sequence[float]) -> T:
    until = time.monotonic() + MAX_SECONDS
    for number, pause in enumerate(pauses):
        try:
            return step()
        except DatabaseError as error:
            repeatable = is_conflict(error) or (number == 0 and not _UNSEEN.isdisjoint(error_codes(error)))
            if not repeatable or connections[alias()].in_atomic_block or time.monotonic() > until:
                raise
        time.sleep(pause * random.random())  # noqa: S311 - jitter, not a secret
    return step()
