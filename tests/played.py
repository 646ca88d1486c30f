"""Scenes that take hundreds of statements to set: played once per process, and from then on repeated from memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from django.apps import apps
from django.conf import settings
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Model

from django_opentrain.models import Install
from django_opentrain.services.inbox import receiving
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain

T = TypeVar("T")
Key = tuple[object, ...]

#: What of the sandbox's store and of the kit changes with what is done.
STORE: Final = ("last_event", "_tables", "_owned", "_tokens", "_pending")
KIT: Final = ("_organizations", "_job")


#: Rows as the database driver gives and takes them, by the primary key.
Rows = dict[Any, tuple[Any, ...]]


@dataclass(frozen=True)
class Table:
    """The rows of a model."""

    model: type[Model]
    columns: list[str]
    rows: Rows


@dataclass(frozen=True)
class Recording:
    """What a scene leaves behind: in the database and, pickled, in the sandbox, the kit and the host."""

    removed: list[Table]
    added: list[Table]
    memory: bytes


_recordings: dict[Key, Recording] = {}
#: The scenes that were played with a kit so far.
_played: WeakKeyDictionary[OpenTrain, Key] = WeakKeyDictionary()


def play(opentrain: OpenTrain, scene: Callable[[OpenTrain], T], host: object = None) -> T:
    """Do ``scene(opentrain)``, or restore what it left behind when it was done before; returns what it returned.

    For fixtures whose ``opentrain`` is new, or has only seen other scenes. ``scene`` is a function of a module that
    does the same each time; it is played anew for each ``OPENTRAIN``. ``host``: its attributes belong to the scene.
    """
    around = (repr(settings.OPENTRAIN), repr(opentrain.sandbox.store.readings), opentrain.clock.today())
    key = (*_played.get(opentrain, ()), scene.__module__, scene.__qualname__, type(host), *around)
    _played[opentrain] = key
    if recording := _recordings.get(key):
        _restore(recording)
        result: T = _remember(recording.memory, opentrain, host)
        return result
    before = _tables()
    result = scene(opentrain)
    after = _tables()
    _recordings[key] = Recording(
        _difference(before, after), _difference(after, before), _memory(opentrain, host, result)
    )
    return result


# Scenes ---------------------------------------------------------------------------------------


def a_customer(opentrain: OpenTrain) -> Install:
    """Connected."""
    return opentrain.connect("acme")


def a_linked_project(opentrain: OpenTrain) -> None:
    """Of a connected customer, with nothing left to do."""
    opentrain.connect("acme")
    opentrain.link("p1")
    opentrain.run()


def a_trainer(linked: OpenTrain) -> Hire:
    """Who has access."""
    hire = linked.hire("Maria S.")
    linked.run()
    return hire


# What they leave behind -----------------------------------------------------------------------


def _tables() -> dict[type[Model], Table]:
    """All rows that there are."""
    tables = {}
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {_quoted(model._meta.db_table)}")
                columns = [column[0] for column in cursor.description]
                place = columns.index(_key_of(model))
                tables[model] = Table(model, columns, {row[place]: row for row in cursor.fetchall()})
    return tables


def _difference(these: dict[type[Model], Table], those: dict[type[Model], Table]) -> list[Table]:
    """What rows of ``these`` are not among ``those``, or are different there."""
    found = []
    for model, table in these.items():
        rows = {key: row for key, row in table.rows.items() if those[model].rows.get(key) != row}
        if rows:
            found.append(Table(model, table.columns, rows))
    return found


def _restore(recording: Recording) -> None:
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for table in recording.removed:
            name, key = _quoted(table.model._meta.db_table), _quoted(_key_of(table.model))
            cursor.executemany(f"DELETE FROM {name} WHERE {key} = %s", [[each] for each in table.rows])
        for table in recording.added:
            name, columns = _quoted(table.model._meta.db_table), ", ".join(map(_quoted, table.columns))
            places = ", ".join(["%s"] * len(table.columns))
            sql = f"INSERT INTO {name} ({columns}) VALUES ({places})"
            cursor.executemany(sql, list(table.rows.values()))
        if connection.vendor == "postgresql":
            for sql in connection.ops.sequence_reset_sql(
                no_style(), [table.model for table in recording.added]
            ):
                cursor.execute(sql)
    # The keys of endpoints are random elsewhere: what a process knows of one holds in each test.
    receiving._known_endpoints.clear()
    receiving._unknown_keys.clear()


def _key_of(model: type[Model]) -> str:
    assert model._meta.pk is not None
    return str(model._meta.pk.column)


def _quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))


def _memory(opentrain: OpenTrain, host: object, result: object) -> bytes:
    # In one, so that what the kit and the store share stays shared.
    return pickle.dumps(
        {
            "now": opentrain.clock.now(),
            "store": {name: vars(opentrain.sandbox.store)[name] for name in STORE},
            "calls": opentrain.sandbox.calls,
            "kit": {name: vars(opentrain)[name] for name in KIT},
            "install": opentrain._connected().pk,
            "host": host and vars(host),
            # Rows are read again: their secrets are not for pickles.
            "result": (type(result), result.pk) if isinstance(result, Model) else result,
        }
    )


def _remember(memory: bytes, opentrain: OpenTrain, host: object) -> Any:
    kept = pickle.loads(memory)
    opentrain.clock.advance(kept["now"] - opentrain.clock.now())
    vars(opentrain.sandbox.store).update(kept["store"])
    opentrain.sandbox.calls.extend(kept["calls"])
    vars(opentrain).update(kept["kit"])
    opentrain._install = Install.objects.get(pk=kept["install"])
    if host is not None:
        vars(host).update(kept["host"])
    match kept["result"]:
        case type() as model, key if issubclass(model, Model):
            return model._default_manager.get(pk=key)
    return kept["result"]
