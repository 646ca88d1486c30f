"""The entries behind a day's totals: a day can have thousands, so a page of them is one query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final, overload

from django.db import connections

from django_opentrain.models import Contract, WorkEntry
from django_opentrain.services.access.hours import Hours
from django_opentrain.services.access.payers import Place, hours_of
from django_opentrain.services.work.totals import candidates, duration_of, paid_by
from django_opentrain.transactions import alias

#: Entries that are read at once where all are asked for.
BATCH: Final = 1000
#: What each of them has of the row, besides the time that it ``counted``.
_COLUMNS: Final = tuple(field.attname for field in WorkEntry._meta.concrete_fields)


class Entries(Sequence[WorkEntry]):
    """Entries that one contract pays, in the order of their time. A slice is one query, and so is the length."""

    def __init__(self, hours: dict[Place, list[Hours]], since: date, until: date) -> None:
        self._hours, self._since, self._until = hours, since, until

    def __len__(self) -> int:
        if not self._hours:
            return 0
        days = self._since, self._until
        return WorkEntry.objects.filter(paid_by(self._hours), work_date__range=days).count()

    @overload
    def __getitem__(self, index: int) -> WorkEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[WorkEntry]: ...
    def __getitem__(self, index: int | slice) -> WorkEntry | list[WorkEntry]:
        if isinstance(index, slice):
            start, stop = index.start or 0, index.stop
            if stop is None or min(start, stop) < 0:
                start, stop, _step = index.indices(len(self))
            return self._read(start, max(stop - start, 0))
        found = self._read(index if index >= 0 else max(index + len(self), 0), 1)
        if not found:
            raise IndexError(index)
        return found[0]

    def __iter__(self) -> Iterator[WorkEntry]:
        start = 0
        while rows := self._read(start, BATCH):
            yield from rows
            start += len(rows)

    def _read(self, start: int, count: int) -> list[WorkEntry]:
        if not self._hours or not count:
            return []
        connection = connections[alias()]
        rows = candidates(self._hours, self._since, self._until).order_by()
        compiler = rows.values(*_COLUMNS, "counted", "mine").query.get_compiler(using=connection.alias)
        entries, params = compiler.as_sql()
        at, pk, mine = map(connection.ops.quote_name, ("at", "id", "mine"))
        # What an entry counts depends on those of other contracts: they are left out once that is known.
        sql = f"SELECT * FROM ({entries}) entries WHERE {mine} = 1 ORDER BY {at}, {pk} LIMIT %s OFFSET %s"  # noqa: S608 - our own words
        return [_with_time(row) for row in WorkEntry.objects.raw(sql, (*params, count, start))]


def entries(contract: Contract, since: date, until: date, *, worker_id: str = "") -> Entries:
    """The entries behind the totals of these days, in order, each with the time that it ``counted``.

    :param worker_id: OpenTrain's user id: of this trainer alone.
    """
    hours = hours_of(contract)
    if worker_id:
        hours = {place: pieces for place, pieces in hours.items() if place.opentrain_user_id == worker_id}
    return Entries(hours, since, until)


def _with_time(row: Any) -> WorkEntry:
    row.counted = duration_of(row.counted)
    return row  # type: ignore[no-any-return] # of a raw query
