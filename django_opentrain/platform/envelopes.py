"""Where the resource is in a response, by operation. The readers raise ``MalformedResource``.

Source: OpenTrain's developer documentation, "API reference".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from django_opentrain.platform.responses import Success
from django_opentrain.platform.values import Fields, MalformedResource

Result = TypeVar("Result")

NO_CONTENT: Final = 204


def whole(parse: Callable[[object], Result]) -> Callable[[Success], Result]:
    """The response is the resource."""
    return lambda response: parse(response.document)


def member(name: str, parse: Callable[[object], Result]) -> Callable[[Success], Result]:
    """The response holds the resource under ``name``."""
    return lambda response: parse(Fields(response.document, "response").get(name))


def items(name: str, parse: Callable[[object], Result]) -> Callable[[Success], list[Result]]:
    """The response holds a list of resources under ``name``; one that is malformed spoils it."""

    def read(response: Success) -> list[Result]:
        members = Fields(response.document, "response").get(name)
        if not isinstance(members, list):
            raise MalformedResource(f"{name}: not a list")
        return [parse(member) for member in members]

    return read


def deleted(name: str, parse: Callable[[object], Result]) -> Callable[[Success], Result | None]:
    """The response to a DELETE: the last snapshot under ``name``, or None where OpenTrain gave none."""

    def read(response: Success) -> Result | None:
        if response.gone or response.status == NO_CONTENT:
            return None
        fields = Fields(response.document, "response")
        snapshot = fields.optional(name, parse)
        deleted = fields.get("deleted")
        if deleted is False or (deleted is not True and snapshot is None):
            raise MalformedResource("response.deleted: not true")
        return snapshot

    return read
