"""What differs, and how much that matters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """By how much it matters; also the exit status of ``opentrain_check_spec``."""

    #: Nothing has to be done.
    HARMLESS = 0
    #: OpenTrain offers something that this package doesn't know.
    NEW = 1
    #: Something that this package sends or reads is not as it expects.
    BREAKING = 2


@dataclass(frozen=True, order=True)
class Difference:
    """One difference. ``where``: operation and member, such as ``GET /contracts: response.contracts[].title``."""

    kind: Kind
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


class NotASpecError(ValueError):
    """The document is no OpenAPI 3 document."""
