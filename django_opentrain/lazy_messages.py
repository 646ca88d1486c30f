"""Messages that a worker stores, and that are translated when they are shown, into the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils import translation


@dataclass(frozen=True)
class LazyMessage:
    """A message with its values, which may be messages, too. ``str()`` gives it in the current language."""

    #: Marked for translation where the message is created.
    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return translation.gettext(self.template) % self.values

    def stored(self) -> list[object]:
        """The message as JSON."""
        values = {
            name: each.stored() if isinstance(each, LazyMessage) else each
            for name, each in self.values.items()
        }
        return [self.template, values]


def restored(stored: object) -> object:
    """The message from its JSON; any other value is returned as it is."""
    if not isinstance(stored, list):
        return stored
    template, values = stored
    return LazyMessage(template, {name: restored(each) for name, each in values.items()})
