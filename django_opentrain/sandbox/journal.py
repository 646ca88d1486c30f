"""The state file: a journal of transactions, so that a kill at any moment loses none of them.

One line per transaction, handed to the operating system before a client is answered. A last line
that a kill cut short doesn't count: no client got an answer. Opening a journal rewrites it
without its history, in a new file that then replaces the old one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django_opentrain.sandbox.models import KINDS, Attempt, Delivery, Entity


class JournalError(Exception):
    """The state file can't be read: it is damaged, or isn't one."""


@dataclass
class Transaction:
    """What one step changed: whole entities put, ids removed.

    ``at`` is the time on the sandbox's clock, ``wall`` the real one.
    """

    at: float
    wall: float
    put: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    removed: list[tuple[str, str]] = field(default_factory=list)


class Journal:
    """Append-only. Holds webhook secrets: readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self) -> list[Transaction]:
        """All whole transactions, oldest first."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        # Each whole line ends with a newline: what follows the last one is a torn write.
        return [self._parse(number, line) for number, line in enumerate(lines[:-1], start=1)]

    def _parse(self, number: int, line: bytes) -> Transaction:
        try:
            return Transaction(**json.loads(line, object_hook=_decode))
        except (ValueError, TypeError) as error:
            raise JournalError(f"{self.path}, line {number}: not a sandbox's state") from error

    def start(self, snapshot: Transaction) -> None:
        """Begin again from ``snapshot`` and stay open for appending."""
        fresh = self.path.with_name(self.path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._descriptor = os.open(fresh, flags, 0o600)
        self.append(snapshot)
        os.fsync(self._descriptor)
        fresh.replace(self.path)

    def append(self, transaction: Transaction) -> None:
        """Write one transaction; it survives this process once this returns."""
        if self._descriptor is None:
            raise JournalError(f"{self.path} is not open")
        rest = json.dumps(vars(transaction), default=_encode, separators=(",", ":")).encode()
        rest += b"\n"
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def document_of(entity: Entity) -> tuple[str, dict[str, Any]]:
    """The kind and the fields of ``entity``, as the journal keeps them."""
    return type(entity).__name__, vars(entity)


def entity_of(put: tuple[str, dict[str, Any]]) -> Entity:
    """The reverse of :func:`document_of`. Raises :class:`JournalError` where the two don't fit."""
    try:
        kind, document = put
        if kind == Delivery.__name__:
            document = {**document, "attempts": [Attempt(**each) for each in document["attempts"]]}
        return KINDS[kind](**document)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError("The state file is of another version of the sandbox") from error


def _encode(value: Decimal | Attempt) -> object:
    return {"$decimal": str(value)} if isinstance(value, Decimal) else vars(value)


def _decode(value: dict[str, Any]) -> object:
    return Decimal(value["$decimal"]) if value.keys() == {"$decimal"} else value
