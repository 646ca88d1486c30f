"""JSON Schema as OpenAPI 3.0 and 3.1 write it, flattened to what a comparison needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: References and compositions within each other, after which a schema is taken for endless.
DEEPEST: Final = 30


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a value may be. An empty ``types`` is any; ``enum`` and the limits are None where there are none."""

    types: frozenset[str] = frozenset()
    nullable: bool = False
    enum: frozenset[str] | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: Any = None
    #: Whether members that it doesn't list are refused.
    closed: bool = False
    max_length: float | None = None
    max_items: float | None = None
    maximum: float | None = None
    format: str | None = None


def resolve(document: Mapping[str, Any], node: object) -> Mapping[str, Any]:
    """``node``, or what its local ``$ref`` refers to; empty where that leads nowhere."""
    for _step in range(DEEPEST):
        if not isinstance(node, Mapping):
            return {}
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return node
        node = _at(document, reference)
    return {}


def _at(document: Mapping[str, Any], reference: str) -> object:
    if not reference.startswith("#/"):
        return None
    found: object = document
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")  # RFC 6901
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def shape_of(document: Mapping[str, Any], node: object, depth: int = 0) -> Shape:
    """The shape of a schema; of any value where there is none."""
    schema = resolve(document, node)
    if depth > DEEPEST:
        return Shape()
    shape = _own(schema)
    for part in _parts(schema.get("allOf")):
        shape = _both(shape, shape_of(document, part, depth + 1))
    for name in ("oneOf", "anyOf"):
        options = [shape_of(document, part, depth + 1) for part in _parts(schema.get(name))]
        if options:
            shape = _both(shape, _either(options))
    return shape


def _parts(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _own(schema: Mapping[str, Any]) -> Shape:
    declared = schema.get("type")
    types = {declared} if isinstance(declared, str) else set(map(str, _parts(declared)))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    properties = schema.get("properties")
    return Shape(
        types=frozenset(types - {"null"}),
        nullable="null" in types or schema.get("nullable") is True,
        enum=frozenset(str(each) for each in values if each is not None)
        if isinstance(values, list)
        else None,
        properties=properties if isinstance(properties, Mapping) else {},
        required=frozenset(map(str, _parts(schema.get("required")))),
        items=schema.get("items"),
        closed=schema.get("additionalProperties") is False,
        max_length=_number(schema.get("maxLength")),
        max_items=_number(schema.get("maxItems")),
        maximum=_number(schema.get("maximum")),
        format=form if isinstance(form := schema.get("format"), str) else None,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _both(one: Shape, other: Shape) -> Shape:
    """What has to fit both."""
    enums = [each.enum for each in (one, other) if each.enum is not None]
    return Shape(
        types=one.types & other.types or one.types or other.types,
        nullable=one.nullable or other.nullable,
        enum=frozenset.intersection(*enums) if enums else None,
        properties={**one.properties, **other.properties},
        required=one.required | other.required,
        items=one.items if one.items is not None else other.items,
        closed=one.closed or other.closed,
        max_length=_least((one.max_length, other.max_length)),
        max_items=_least((one.max_items, other.max_items)),
        maximum=_least((one.maximum, other.maximum)),
        format=one.format or other.format,
    )


def _either(options: Sequence[Shape]) -> Shape:
    """What may fit any of them. A ``null`` among them is no more than permission to be null."""
    real = [each for each in options if each.types or each.properties or each.enum is not None]
    if not real:
        return Shape(nullable=any(each.nullable for each in options))
    enums = [each.enum for each in real]
    known = [each for each in enums if each is not None]
    return Shape(
        types=frozenset().union(*(each.types for each in real)),
        nullable=any(each.nullable for each in options),
        enum=frozenset().union(*known) if len(known) == len(enums) else None,
        properties={name: value for each in real for name, value in each.properties.items()},
        required=frozenset.intersection(*(each.required for each in real)),
        items=next((each.items for each in real if each.items is not None), None),
        closed=all(each.closed for each in real),
    )


def _least(limits: Iterable[float | None]) -> float | None:
    return min((each for each in limits if each is not None), default=None)
