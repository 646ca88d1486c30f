"""Cursor pagination that a forged cursor can't break: a page begins after a (sort key, id)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Expression, F, Field, Model, Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_OFFSET_DIGITS: Final = 9
LARGEST_ID: Final = 2**63 - 1
#: By what every list can be sorted.
BY_ID: Final[Mapping[str, Expression | F]] = {"id": F("pk")}


@dataclass(frozen=True, kw_only=True)
class Page(Generic[M]):
    """One page of a list."""

    rows: Sequence[M]
    #: Where the next page begins; None on the last page.
    next_cursor: str | None


def page(
    rows: QuerySet[M],
    keys: Mapping[str, Expression | F],
    *,
    ordering: str,
    cursor: str,
    limit: int,
) -> Page[M]:
    """The page of ``rows`` that begins after ``cursor``, with one query.

    :param keys: by the name in ``ordering``, the expression to sort by. It must never be null: databases sort nulls
        differently.
    :param ordering: one of the names; with "-" before it in descending order.

    Raises ``ValidationError`` for an invalid cursor.
    """
    descending = ordering.startswith("-")
    sorted_rows = rows.annotate(sort_key=keys[ordering.removeprefix("-")])
    if cursor:
        field = sorted_rows.query.annotations["sort_key"].output_field
        key, pk = _decode(cursor, field)
        beyond = "lt" if descending else "gt"
        after = Q(**{f"sort_key__{beyond}": key}) | Q(sort_key=key, **{f"pk__{beyond}": pk})
        sorted_rows = sorted_rows.filter(after)
    sign = "-" if descending else ""
    page_rows = list(sorted_rows.order_by(f"{sign}sort_key", f"{sign}pk")[: limit + 1])
    more = len(page_rows) > limit
    return Page(rows=page_rows[:limit], next_cursor=_encode(page_rows[limit - 1]) if more else None)


def offset_page(rows: Sequence[M], *, cursor: str, limit: int) -> Page[M]:
    """The page of ``rows`` that begins after ``cursor``, a number of rows, with one query: for what no key leads to.

    A row that comes before it in between moves the others. Raises ``ValidationError`` for an invalid cursor.
    """
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MAX_OFFSET_DIGITS):
        raise ValidationError({"cursor": [_("Invalid cursor.")]})
    start = int(cursor or 0)
    found = rows[start : start + limit + 1]
    return Page(rows=found[:limit], next_cursor=str(start + limit) if len(found) > limit else None)


def _encode(row: Model) -> str:
    position = json.dumps([str(row.__dict__["sort_key"]), row.pk]).encode()
    return base64.urlsafe_b64encode(position).decode().rstrip("=")


def _decode(cursor: str, field: Field[Any, Any]) -> tuple[Any, int]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key, pk = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        position = field.to_python(key) if type(key) is str and "\0" not in key else None
    except (ValueError, TypeError, RecursionError, DjangoValidationError):
        position, pk = None, -1
    numbers = [pk, position] if isinstance(position, int) else [pk]
    if position is None or not all(type(number) is int and 0 <= number <= LARGEST_ID for number in numbers):
        raise ValidationError({"cursor": [_("Invalid cursor.")]})
    return position, pk
