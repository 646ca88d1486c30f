"""Texts that a worker stores, and that are translated when they are shown: it can not know whose language it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils import translation


@dataclass(frozen=True)
class Phrase:
    """A text with its values, which may be phrases, too. As a string it is in the language of who asks for it."""

    #: Marked for translation where it is written.
    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return translation.gettext(self.template) % self.values

    def stored(self) -> list[object]:
        """As JSON can keep it."""
        values = {
            name: each.stored() if isinstance(each, Phrase) else each for name, each in self.values.items()
        }
        return [self.template, values]


def restored(stored: object) -> object:
    """What was stored; what is no phrase stays as it is."""
    if not isinstance(stored, list):
        return stored
    template, values = stored
    return Phrase(template, {name: restored(each) for name, each in values.items()})
