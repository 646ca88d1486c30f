"""Pages as a browser's user sees them: the text, the links, the forms to fill in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

#: Inputs that a form sends only when they are chosen, or not at all.
_UNSENT: Final = frozenset({"checkbox", "radio", "submit", "button", "reset", "image", "file"})
#: Inputs into which people type no text.
_UNTYPED: Final = _UNSENT | {"hidden", "password"}
_INVISIBLE: Final = frozenset({"script", "style", "template", "head"})


@dataclass
class Input:
    """A field of a form."""

    name: str
    kind: str
    value: str

    @property
    def is_typed(self) -> bool:
        """Whether people write into it, in the clear."""
        return self.kind not in _UNTYPED


@dataclass
class Form:
    """A form; ``action`` may be relative, or empty."""

    action: str = ""
    inputs: list[Input] = field(default_factory=list)

    def named(self, kind: str) -> list[Input]:
        """The inputs of this type."""
        return [each for each in self.inputs if each.kind == kind]

    def data(self) -> dict[str, str]:
        """What is sent if nothing is filled in."""
        return {each.name: each.value for each in self.inputs if each.kind not in _UNSENT}


class Page(HTMLParser):
    """The parts of an HTML page that people act on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._words: list[str] = []
        self._invisible = 0
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """Its words, one blank between each two."""
        return " ".join(self._words)

    @property
    def password_form(self) -> Form | None:
        """The first form that asks for a password."""
        return next((form for form in self.forms if form.named("password")), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in _INVISIBLE:
            self._invisible += 1
        elif tag == "form":
            self.forms.append(Form(values.get("action", "")))
        elif tag == "input" and self.forms and values.get("name"):
            kind = values.get("type", "text").lower()
            self.forms[-1].inputs.append(Input(values["name"], kind, values.get("value", "")))
        elif tag == "a":
            self.links.append(values.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in _INVISIBLE:
            self._invisible -= 1

    def handle_data(self, data: str) -> None:
        if not self._invisible:
            self._words.extend(data.split())
