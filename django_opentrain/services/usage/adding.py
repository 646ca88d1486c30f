"""Adding to a day's totals: one statement, which creates the day's row or adds to it.

Hosts call it at each piece of work, often for the same day from many processes. A statement that reads first would be
one more to wait for, and one that writes afterwards would hold the row for longer. Django's ``bulk_create`` can
replace what is stored, not add to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from django_opentrain.conflicts import retried, retried_often
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.platform.resources import MAX_TOTALS, UsageEntry
from django_opentrain.services.usage.totals import (
    derive_anew,
    entry_columns,
    refresh_trainer,
    row_key,
    write,
)
from django_opentrain.transactions import alias

_NAMES: Final = [field.attname for field in DailyUsage._meta.concrete_fields]
_COLUMNS: Final = [field.cached_col for field in DailyUsage._meta.concrete_fields]
#: The columns that a new row has beside what is added, as SQL.
_CONSTANTS: Final = {
    "revision": "1",
    "reported_revision": "0",
    "external_report_id": "''",
}
#: The columns that any change sets: the row is due.
_DUE: Final = {
    "status": f"'{DailyUsage.Status.DUE.value}'",
    "error": "''",
    "error_code": "''",
    "retry_at": "NULL",
}


def add(
    contract: Contract,
    work_date: date,
    *,
    total_seconds: int | None = None,
    tasks_completed: int | None = None,
    labels_completed: int | None = None,
    worker_id: str = "",
    external_report_id: str | None = None,
) -> DailyUsage:
    """Add to a day's totals; safe for concurrent callers.

    Raises ``InvalidRequest``, a ``ValueError``, for invalid values.
    """
    entry = UsageEntry(
        work_date=work_date,
        total_seconds=total_seconds,
        tasks_completed=tasks_completed,
        labels_completed=labels_completed,
        worker_opentrain_user_id=worker_id,
        external_report_id=external_report_id or "",
    )
    row = _add(contract, entry) if entry.totals else write(contract, entry)
    derive_anew(contract)
    return row


def _add(contract: Contract, entry: UsageEntry) -> DailyUsage:
    if entry.worker_opentrain_user_id:
        refresh_trainer(contract)
    key = row_key(contract, entry)
    database = alias()
    connection = connections[database]
    columns = entry_columns(entry)
    day = connection.ops.adapt_datefield_value(entry.work_date)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    added = [*columns.values(), now]
    params = [contract.pk, key["worker_id"], day, day, contract.pk, now, *added, *added]
    # MySQL returns no rows, nor does SQLite before 3.35.
    returning = connection.features.can_return_columns_from_insert
    statement = _upsert(database, tuple(columns), returning=returning)
    # Each statement is repeated on its own: what one has added is not added once more.
    values = retried_often(_execute)(connection, statement, params, returning=returning)
    return _row(connection, values) if values else retried(DailyUsage.objects.using(database).get)(**key)


def _execute(
    connection: BaseDatabaseWrapper, statement: str, params: Sequence[Any], *, returning: bool
) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchone() if returning else ()


def _row(connection: BaseDatabaseWrapper, values: Sequence[Any]) -> DailyUsage:
    if not _is_native(connection.alias):
        compiler = DailyUsage.objects.using(connection.alias).query.get_compiler(connection.alias)
        [values] = compiler.apply_converters([values], compiler.get_converters(_COLUMNS))
    return DailyUsage.from_db(connection.alias, _NAMES, values)


@lru_cache
def _is_native(database: str) -> bool:
    """Whether the driver returns what the fields hold, as PostgreSQL's does: asked once, as it takes a while."""
    compiler = DailyUsage.objects.using(database).query.get_compiler(database)
    return not compiler.get_converters(_COLUMNS)


@lru_cache
def _upsert(database: str, added: tuple[str, ...], *, returning: bool) -> str:
    """The statement that adds to the totals among ``added`` and sets the others of these columns.

    Its parameters: contract, worker, day; day and contract again; the time of creation; then the added columns and
    the time of the change, twice: for a new row, and for one that is there.
    """
    connection = connections[database]
    table = connection.ops.quote_name(DailyUsage._meta.db_table)
    new, changes = _new_row(connection, added), _changes(table, added)
    on_conflict = "ON CONFLICT (contract_id, worker_id, work_date) DO UPDATE SET"
    if connection.vendor == "mysql":
        on_conflict = "ON DUPLICATE KEY UPDATE"
    sql = f"INSERT INTO {table} ({', '.join(new)}) VALUES ({', '.join(new.values())}) {on_conflict} "  # noqa: S608 - our own words
    sql += ", ".join(f"{name} = {value}" for name, value in changes.items())
    return f"{sql} RETURNING {', '.join(_NAMES)}" if returning else sql


def _new_row(connection: BaseDatabaseWrapper, added: tuple[str, ...]) -> dict[str, str]:
    contracts = connection.ops.quote_name(Contract._meta.db_table)
    # As the contract is now: that hours are tracked elsewhere may have been said since it was loaded.
    until = f"(SELECT hours_withheld_until FROM {contracts} WHERE id = %s)"  # noqa: S608 - our own words
    given = dict.fromkeys((*added, "updated_at"), "%s")
    return {
        **dict.fromkeys(("contract_id", "worker_id", "work_date"), "%s"),
        "hours_withheld": f"COALESCE(%s <= {until}, FALSE)",
        "created_at": "%s",
        **given,
        **{name: sql for name, sql in _CONSTANTS.items() if name not in given},
        **_DUE,
    }


def _changes(table: str, added: tuple[str, ...]) -> dict[str, str]:
    sums = {name: f"COALESCE({table}.{name}, 0) + %s" for name in added if name in MAX_TOTALS}
    given = dict.fromkeys((*added, "updated_at"), "%s")
    return {**given, **sums, "revision": f"{table}.revision + 1", **_DUE}
