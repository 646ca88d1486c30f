"""Reading pages as people and browsers do."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Element:
    """A start tag."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""


class Page(HTMLParser):
    """All start tags of a page, in order, and its text."""

    VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.words: list[str] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        self.unclosed = [element.tag for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        opened = self._open.pop()
        assert opened.tag == tag, f"</{tag}> closes <{opened.tag}>"

    def handle_data(self, data: str) -> None:
        if any(element.tag in ("script", "style") for element in self._open):
            return
        self.words.extend(data.split())
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """The elements with one of these tags."""
        return [element for element in self.elements if element.tag in tags]

    @property
    def text(self) -> str:
        """Its words, one blank between each two."""
        return " ".join(self.words)


def page_of(response: Any) -> Page:
    """A response's page."""
    return Page(response.content.decode())


def text_of(response: Any) -> str:
    """A response's text, as a user reads it."""
    return page_of(response).text
