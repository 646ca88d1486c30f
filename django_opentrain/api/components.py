"""What drf-spectacular makes of our serializers, put right for clients that are generated: for `schema` only."""

from __future__ import annotations

import json
from typing import Any, Final

from drf_spectacular.plumbing import (
    ComponentIdentity,
    ComponentRegistry,
    ResolvedComponent,
    append_meta,
    safe_ref,
)

#: Between the description of a field and that of its choices.
CHOICES: Final = "\n\n* "


def describe_defaults(properties: dict[str, Any]) -> None:
    """Write each ``default`` into the description.

    Generators take it for more than the server's: openapi-typescript for a field that has to be sent, and
    openapi-python-client for one to send with each request, where a PATCH means to leave it alone.
    """
    for schema in properties.values():
        default = schema.pop("default", "")
        if default != "":
            value = default if isinstance(default, str) else json.dumps(default)
            text, marker, choices = _parted(schema)
            schema["description"] = f"{text} Default: `{value}`.".strip() + marker + choices


def name_enums(properties: dict[str, Any], prefix: str, registry: ComponentRegistry) -> None:
    """Give each enumeration a component of its own, named with ``prefix``.

    Otherwise drf-spectacular names all that a site has by their fields, and by more where two names would be one:
    a `kind` of ours would be `KindEnum`, and rename a host's.
    """
    for name, schema in properties.items():
        if "enum" in schema:
            properties[name] = _named(schema, f"{prefix}{name[0].upper()}{name[1:]}Enum", registry)


def _named(schema: dict[str, Any], name: str, registry: ComponentRegistry) -> dict[str, Any]:
    text, marker, choices = _parted(schema)
    enum = {"enum": schema["enum"], "type": schema["type"]}
    if marker:
        enum["description"] = (marker + choices).strip()
    same = ComponentIdentity(tuple(schema["enum"]))  # type: ignore[no-untyped-call] # drf-spectacular's plumbing is untyped
    component = ResolvedComponent(name, ResolvedComponent.SCHEMA, enum, object=same)  # type: ignore[no-untyped-call] # as above
    registry.register_on_missing(component)
    kept = {key: value for key, value in schema.items() if key in {"readOnly", "writeOnly", "nullable"}}
    return safe_ref(append_meta(component.ref, {**kept, "description": text} if text else kept))


def _parted(schema: dict[str, Any]) -> tuple[str, str, str]:
    """The description of a field, and that of its choices."""
    text, marker, choices = f"\n\n{schema.get('description', '')}".partition(CHOICES)
    return text.strip(), marker, choices
