"""Comparing the members of what is sent and what is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django_opentrain.platform.spec.differences import Difference, Kind
from django_opentrain.platform.spec.expectations import ID, LIST, OBJECT, TEXT, Read, Sent
from django_opentrain.platform.spec.schema import Shape, shape_of


def _words(values: Iterable[str]) -> str:
    return ", ".join(sorted(values))


def _nested(document: Mapping[str, Any], shape: Shape) -> Shape:
    """The object itself, or each object of a list."""
    return shape_of(document, shape.items) if "array" in shape.types else shape


def _path(where: str, name: str, types: Collection[str]) -> str:
    return f"{where}.{name}[]" if "array" in types else f"{where}.{name}"


# What is read ---------------------------------------------------------------------------------


def compare_read(
    document: Mapping[str, Any], shape: Shape, expected: Iterable[Read], where: str
) -> Iterator[Difference]:
    """An object of a response against the members that are read of it."""
    names = set()
    for each in expected:
        names.add(each.name)
        if each.name not in shape.properties:
            yield Difference(Kind.BREAKING, f"{where}.{each.name}", "was removed")
            continue
        found = shape_of(document, shape.properties[each.name])
        yield from _read_member(document, each, found, _path(where, each.name, each.types))
        if each.essential and each.name not in shape.required:
            # A document that requires nothing of an object is sloppy; one that requires the others is not.
            kind = Kind.BREAKING if shape.required else Kind.HARMLESS
            yield Difference(kind, f"{where}.{each.name}", "is optional, but needed")
    for name in sorted(set(shape.properties) - names):
        yield Difference(Kind.NEW, f"{where}.{name}", "is new, but not read")


def _read_member(
    document: Mapping[str, Any], expected: Read, found: Shape, where: str
) -> Iterator[Difference]:
    inner = _nested(document, found)
    items = OBJECT if expected.members else ID
    unusable = [(found.types, expected.types)]
    if expected.types == LIST:
        unusable.append((inner.types, items))
    for offered, readable in unusable:
        if strange := offered - readable:
            text = f"may be {_words(strange)}, where {_words(readable)} is read"
            yield Difference(Kind.BREAKING, where, text)
            return
    if found.nullable and expected.essential:
        yield Difference(Kind.BREAKING, where, "may be null, but is needed")
    yield from _read_values(inner.enum, expected, where)
    if expected.members:
        yield from compare_read(document, inner, expected.members, where)


def _read_values(offered: frozenset[str] | None, expected: Read, where: str) -> Iterator[Difference]:
    known, acts_on = set(expected.known), set(expected.acts_on)
    if offered is None:
        if known:
            yield Difference(Kind.HARMLESS, where, "doesn't list its values")
        return
    for value in sorted(offered - known if known else ()):
        yield Difference(Kind.NEW, where, f"has the new value {value}")
    for value in sorted((known | acts_on) - offered):
        kind = Kind.BREAKING if value in acts_on else Kind.HARMLESS
        yield Difference(kind, where, f"no longer has the value {value}")


# What is sent ---------------------------------------------------------------------------------


def compare_sent(
    document: Mapping[str, Any], shape: Shape, expected: Iterable[Sent], where: str
) -> Iterator[Difference]:
    """An object of a request against the members that are sent in it."""
    ours = {each.name: each for each in expected}
    for each in ours.values():
        if each.name not in shape.properties:
            text = "is refused" if shape.closed else "was removed, but is sent"
            yield Difference(Kind.BREAKING, f"{where}.{each.name}", text)
            continue
        found = shape_of(document, shape.properties[each.name])
        yield from compare_sent_value(document, each, found, _path(where, each.name, each.types))
    for name in sorted(shape.required):
        if name not in ours:
            yield Difference(Kind.BREAKING, f"{where}.{name}", "is required, but not sent")
        elif not ours[name].always:
            yield Difference(Kind.BREAKING, f"{where}.{name}", "is required, but not always sent")
    for name in sorted(set(shape.properties) - set(ours) - shape.required):
        yield Difference(Kind.NEW, f"{where}.{name}", "is new, but not sent")


def compare_sent_value(
    document: Mapping[str, Any], expected: Sent, found: Shape, where: str
) -> Iterator[Difference]:
    """One member, or one parameter."""
    inner = _nested(document, found)
    sent = [(found.types, expected.types)]
    if expected.types == LIST:
        sent.append((inner.types, OBJECT if expected.members else TEXT))
    for taken, given in sent:
        if taken and not given <= taken | ({"integer"} if "number" in taken else set()):
            text = f"takes {_words(taken)}, where {_words(given)} is sent"
            yield Difference(Kind.BREAKING, where, text)
            return
    if expected.format and found.format not in (None, expected.format):
        text = f"has the format {found.format}, where {expected.format} is sent"
        yield Difference(Kind.BREAKING, where, text)
    yield from _sent_values(inner.enum, expected.values, where)
    yield from _limit(expected, found, where)
    if expected.members:
        yield from compare_sent(document, inner, expected.members, where)


def _sent_values(taken: frozenset[str] | None, sent: tuple[str, ...], where: str) -> Iterator[Difference]:
    if taken is None:
        if sent:
            yield Difference(Kind.HARMLESS, where, "doesn't list the values it takes")
        return
    if not sent:
        yield Difference(Kind.BREAKING, where, f"takes only {_words(taken)}")
        return
    for value in sorted(set(sent) - taken):
        yield Difference(Kind.BREAKING, where, f"no longer takes the value {value}")
    for value in sorted(taken - set(sent)):
        yield Difference(Kind.NEW, where, f"takes the new value {value}")


def _limit(expected: Sent, found: Shape, where: str) -> Iterator[Difference]:
    if expected.most is None:
        return
    limits = {"array": found.max_items, "string": found.max_length, "integer": found.maximum}
    [kind] = expected.types
    limit = limits[kind]
    if limit is None or limit == expected.most:
        return
    kind_of_difference = Kind.BREAKING if limit < expected.most else Kind.HARMLESS
    yield Difference(kind_of_difference, where, f"has the limit {limit:g}, where {expected.most} is assumed")
