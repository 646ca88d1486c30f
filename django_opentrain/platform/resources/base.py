"""What all resources have in common: each member is declared once, by the attribute that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache, partial
from typing import Any, Final, Generic, TypeVar

from django_opentrain.platform.values import (
    Fields,
    as_choice,
    as_count,
    as_date,
    as_datetime,
    as_decimal,
    as_email,
    as_id,
    as_ids,
    as_text,
    as_url,
    camel,
)

T = TypeVar("T")
R = TypeVar("R", bound="Resource")
JsonTypes = frozenset[str]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """What a member holds: its reader, and the JSON types that can be read so."""

    read: Callable[[object], T]
    types: JsonTypes


STRING: Final[JsonTypes] = frozenset({"string"})
#: A number may come as text, as decimals often do in JSON.
NUMERIC: Final[JsonTypes] = frozenset({"number", "integer", "string"})

#: An id may be a number.
ID: Final = Kind(as_id, frozenset({"string", "integer"}))
IDS: Final = Kind(as_ids, frozenset({"array"}))
CHOICE: Final = Kind(as_choice, STRING)
URL: Final = Kind(as_url, STRING)
EMAIL: Final = Kind(as_email, STRING)
DATE: Final = Kind(as_date, STRING)
DATETIME: Final = Kind(as_datetime, STRING)
DECIMAL: Final = Kind(as_decimal, NUMERIC)
COUNT: Final = Kind(as_count, NUMERIC)
TOTAL: Final = Kind(lambda value: as_count(value) or 0, NUMERIC)
FLAG: Final = Kind(lambda value: value is True, frozenset({"boolean"}))


def text(limit: int) -> Kind[str]:
    """Text for people, cut to ``limit`` characters."""
    return Kind(partial(as_text, limit=limit), STRING)


@dataclass(frozen=True, kw_only=True)
class Member:
    """How one attribute is read.

    :ivar name: OpenTrain's; "" for the attribute's in camel case.
    :ivar essential: without it the resource is malformed.
    :ivar known: the values that we know.
    :ivar acts_on: those on which something depends.
    :ivar resource: what a nested object is read as.
    """

    name: str
    kind: Kind[Any]
    essential: bool
    known: tuple[str, ...] = ()
    acts_on: tuple[str, ...] = ()
    resource: type[Resource] | None = None

    def read(self, data: Fields, name: str) -> Any:
        """Its value in ``data``. Raises ``MalformedResource`` for an essential one that can't be used."""
        if self.resource is not None and self.essential:
            return self.resource.from_json(data.get(name))
        if self.resource is not None:
            return data.optional(name, self.resource.from_json)
        return data.required(name, self.kind.read) if self.essential else self.kind.read(data.get(name))


def member(
    kind: Kind[T],
    *,
    name: str = "",
    essential: bool = False,
    known: tuple[str, ...] = (),
    acts_on: tuple[str, ...] = (),
    repr: bool = True,  # noqa: A002 - as dataclasses have it
) -> T:
    """An attribute that is read as ``kind``. One that may be missing has what ``kind`` makes of nothing.

    Something depends on each of the ``known`` values, or on those in ``acts_on`` where OpenTrain doesn't list all.
    """
    default = MISSING if essential else kind.read(None)
    declared = Member(name=name, kind=kind, essential=essential, known=known, acts_on=acts_on or known)
    made: Any = field(default=default, repr=repr, metadata={"member": declared})
    return made  # type: ignore[no-any-return] # dataclass() puts the value in its place


def nested(resource: type[Resource], *, name: str = "", essential: bool = False, default: Any = None) -> Any:
    """An attribute that is read as another resource; ``default`` where that is missing or malformed."""
    kind = Kind(resource.from_json, frozenset({"object"}))
    declared = Member(name=name, kind=kind, essential=essential, resource=resource)
    made: Any = field(default=MISSING if essential else default, metadata={"member": declared})
    return made


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """What all have in common: the JSON object that they were read from."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    @cache
    def members(cls) -> dict[str, tuple[str, Member]]:
        """By attribute: OpenTrain's name of a member, and how it is read."""
        declared = {each.name: each.metadata["member"] for each in fields(cls) if "member" in each.metadata}
        return {attribute: (each.name or camel(attribute), each) for attribute, each in declared.items()}

    @classmethod
    def from_json(cls: type[R], data: object) -> R:  # noqa: PYI019 - Self needs Python 3.11
        """Raises ``MalformedResource`` when ``data`` is not an object, or lacks what is essential."""
        label = cls.__name__.removesuffix("Info")
        given = Fields(data, label[0].lower() + label[1:])
        values = {attribute: each.read(given, name) for attribute, (name, each) in cls.members().items()}
        return cls(raw=given.raw, **{name: value for name, value in values.items() if value is not None})
