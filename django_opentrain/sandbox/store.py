"""The state core: every entity, one lock, and a journal when there is a state file."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from django_opentrain.sandbox.clock import Clock
from django_opentrain.sandbox.journal import Journal, Transaction, document_of, entity_of
from django_opentrain.sandbox.models import KINDS, PENDING, Delivery, Entity, Event, Token
from django_opentrain.sandbox.readings import Readings

E = TypeVar("E", bound=Entity)


class Store:
    """Keeps entities by kind and id, in the order in which they were made.

    Read and write within :meth:`transaction`; call :meth:`put` after each change of an entity.
    """

    def __init__(
        self, clock: Clock, state_file: Path | None = None, readings: Readings | None = None
    ) -> None:
        self.clock = clock
        self.readings = readings or Readings()
        #: Notified after each transaction that changed something.
        self.changed = threading.Condition(threading.RLock())
        self.last_event = 0
        self._tables: dict[type[Entity], dict[str, Entity]] = {kind: {} for kind in KINDS.values()}
        self._owned: defaultdict[tuple[type[Entity], str], dict[str, Entity]] = defaultdict(dict)
        self._tokens: dict[str, Token] = {}
        self._pending: dict[str, Delivery] = {}
        self._dirty: dict[tuple[type[Entity], str], Entity | None] = {}
        self._depth = 0
        self._journal = Journal(state_file) if state_file is not None else None
        if self._journal is not None:
            self._load(self._journal)

    # Transactions -----------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock; at the end of the outermost block write down what changed."""
        with self.changed:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                # Also after an exception: the journal holds what memory holds, whatever happened.
                if self._depth == 0 and self._dirty:
                    self._commit()
                    self.changed.notify_all()

    def _commit(self) -> None:
        transaction = self._transaction()
        for (kind, key), entity in self._dirty.items():
            if entity is None:
                transaction.removed.append((kind.__name__, key))
            else:
                transaction.put.append(document_of(entity))
        self._dirty.clear()
        if self._journal is not None:
            self._journal.append(transaction)

    def _transaction(self) -> Transaction:
        return Transaction(at=self.clock.now(), wall=self.clock.wall())

    def record_time(self) -> None:
        """Write down the time, so that a restart doesn't turn an advanced clock back."""
        with self.changed:
            if self._journal is not None:
                self._journal.append(self._transaction())
            self.changed.notify_all()

    def close(self) -> None:
        """Close the state file."""
        with self.changed:
            if self._journal is not None:
                self._journal.close()

    def _load(self, journal: Journal) -> None:
        transactions = journal.read()
        for transaction in transactions:
            for put in transaction.put:
                self.put(entity_of(put))
            for kind, key in transaction.removed:
                gone = self._tables[KINDS[kind]].get(key)
                if gone is not None:  # None: it came and went within one transaction
                    self.remove(gone)
        if transactions:
            last = transactions[-1]
            self.clock.resume_from(last.at, last.wall)
        self._dirty.clear()
        everything = [entity for table in self._tables.values() for entity in table.values()]
        snapshot = self._transaction()
        snapshot.put = [document_of(entity) for entity in everything]
        journal.start(snapshot)

    # Entities ---------------------------------------------------------------------------------

    def put(self, entity: Entity) -> None:
        """Keep ``entity``, new or changed."""
        kind = type(entity)
        self._tables[kind][entity.key] = entity
        self._owned[kind, entity.owner][entity.key] = entity
        self._dirty[kind, entity.key] = entity
        if isinstance(entity, Token):
            self._tokens[entity.digest] = entity
        elif isinstance(entity, Event):
            self.last_event = max(self.last_event, entity.sequence)
        elif isinstance(entity, Delivery):
            if entity.status == PENDING:
                self._pending[entity.key] = entity
            else:
                self._pending.pop(entity.key, None)

    def remove(self, entity: Entity) -> None:
        kind = type(entity)
        del self._tables[kind][entity.key]
        del self._owned[kind, entity.owner][entity.key]
        self._dirty[kind, entity.key] = None
        self._pending.pop(entity.key, None)

    def get(self, kind: type[E], key: str | None) -> E | None:
        return cast("E | None", self._tables[kind].get(key or ""))

    def all(self, kind: type[E]) -> list[E]:
        """Every entity of a kind, oldest first."""
        return cast("list[E]", list(self._tables[kind].values()))

    def owned(self, kind: type[E], owner: str) -> list[E]:
        """The entities of a kind that belong to ``owner``, oldest first."""
        return cast("list[E]", list(self._owned.get((kind, owner), {}).values()))

    def token_by_digest(self, digest: str) -> Token | None:
        return self._tokens.get(digest)

    def pending_deliveries(self) -> list[Delivery]:
        return list(self._pending.values())
