"""Transactions in the database that holds our tables: the site's routers say which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.apps import apps
from django.db import connections, router, transaction

P = ParamSpec("P")
T = TypeVar("T")


def alias() -> str:
    """The database of all our tables, and of the site's users (``opentrain.E031`` checks that it is one)."""
    # Asked of the registry: what imports this is loaded before the models are.
    return router.db_for_write(apps.get_model("django_opentrain", "Install"))


@contextmanager
def atomic() -> Iterator[None]:
    """As Django's, also as a decorator: ``@atomic()`` asks the routers at each call."""
    with transaction.atomic(using=alias()):
        yield


def on_commit(function: Callable[[], object]) -> None:
    """Call ``function`` once the transaction that surrounds the caller has committed."""
    transaction.on_commit(function, using=alias())


def durable(call: Callable[P, T]) -> Callable[P, T]:
    """Raise ``RuntimeError`` inside of a transaction: what ``call`` does on OpenTrain would outlast its rollback.

    As for Django's ``atomic(durable=True)``, the transaction that a ``TestCase`` begins doesn't count.
    """

    @wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        refuse_transaction(f"{call.__module__}.{call.__name__}")
        return call(*args, **kwargs)

    return checked


def refuse_transaction(name: str) -> None:
    """The same, of the function of this name, where a decorator's frame would show its arguments."""
    if not connections[alias()].in_atomic_block:
        return
    try:
        # Without a savepoint it sends nothing: it is only asked whether it may be there.
        with transaction.atomic(using=alias(), savepoint=False, durable=True):
            pass
    except RuntimeError:
        raise RuntimeError(
            f"{name}() was called inside a transaction. If that is rolled back, OpenTrain keeps what this site then"
            " doesn't know. Call it once that has committed: transaction.on_commit(…), or a view without"
            " ATOMIC_REQUESTS (transaction.non_atomic_requests)."
        ) from None
