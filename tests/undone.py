"""A block whose changes to the database are undone: the transaction of a test, once more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


@contextmanager
def undone() -> Iterator[None]:
    """As in a ``TestCase``: code that refuses to run inside a transaction (``durable``) doesn't see it."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined] # what Django's own TestCase sets
    with block:
        yield
        transaction.set_rollback(True)
