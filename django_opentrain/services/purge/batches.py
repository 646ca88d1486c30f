"""Changing or deleting many rows, a few in each transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db.models import Model, Q, QuerySet

from django_opentrain.conflicts import retried
from django_opentrain.services.workers.locks import lock_all
from django_opentrain.transactions import atomic

#: Rows changed by one statement, so that no lock is held for long.
BATCH: Final = 500

Row = TypeVar("Row", bound=Model)


def in_batches(rows: QuerySet[Row], step: Callable[[QuerySet[Row]], int], *, by: str = "pk") -> int:
    """``step`` gets the condition with the keys: rows that are needed again (replayed, hired) don't meet it.

    :param by: an indexed column that says how old a row is. The rows are read in its order, each batch from where the
        last one ended: in the order of their keys, a database would read all that are too young or gone already.
    """
    total, after = 0, Q()
    while batch := list(rows.filter(after).order_by(by, "pk").values_list(by, "pk")[:BATCH]):
        total += step(rows.filter(pk__in=[key for _value, key in batch]))
        value, key = batch[-1]
        after = Q(**{f"{by}__gte": value}) & (Q(**{f"{by}__gt": value}) | Q(pk__gt=key))
    return total


@retried
def delete(rows: QuerySet[Any]) -> int:
    """Delete these rows, in a transaction."""
    with atomic():
        # A token may be being saved to such a row: once it is locked, it meets the condition or is left out.
        keys = [row.pk for row in lock_all(rows)]
        deleted: int = rows.model._default_manager.filter(pk__in=keys).delete()[0]
    return deleted
