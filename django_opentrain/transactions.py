"""Transactions in the database that holds our tables: the site's routers say which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import router, transaction


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
