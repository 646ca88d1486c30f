"""Where the resource is in an answer, by operation. The readers raise ``MalformedResource``.

Source: OpenTrain's developer documentation, "API reference".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from django_opentrain.platform.answers import Answer
from django_opentrain.platform.values import Fields, MalformedResource

Result = TypeVar("Result")

NO_CONTENT: Final = 204


def whole(parse: Callable[[object], Result]) -> Callable[[Answer], Result]:
    """The answer is the resource."""
    return lambda answer: parse(answer.document)


def member(name: str, parse: Callable[[object], Result]) -> Callable[[Answer], Result]:
    """The answer holds the resource under ``name``."""
    return lambda answer: parse(Fields(answer.document, "answer").get(name))


def items(name: str, parse: Callable[[object], Result]) -> Callable[[Answer], list[Result]]:
    """The answer holds a list of resources under ``name``; one that is malformed spoils it."""

    def read(answer: Answer) -> list[Result]:
        members = Fields(answer.document, "answer").get(name)
        if not isinstance(members, list):
            raise MalformedResource(f"{name}: not a list")
        return [parse(member) for member in members]

    return read


def deleted(name: str, parse: Callable[[object], Result]) -> Callable[[Answer], Result | None]:
    """The answer to a DELETE: the last snapshot under ``name``, or None where OpenTrain gave none."""

    def read(answer: Answer) -> Result | None:
        if answer.gone or answer.status == NO_CONTENT:
            return None
        fields = Fields(answer.document, "answer")
        snapshot = fields.optional(name, parse)
        deleted = fields.get("deleted")
        if deleted is False or (deleted is not True and snapshot is None):
            raise MalformedResource("answer.deleted: not true")
        return snapshot

    return read
