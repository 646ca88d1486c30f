"""Reads pages as a test needs them: elements, ids, text."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """All start tags with their attributes, and the text of elements that have an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._found: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._open: list[str | None] = []
        self._by_id: dict[str, str] = {}
        self._last: tuple[str, dict[str, str | None]] = ("", {})
        #: The column headings, and by ``datetime`` what is shown of it.
        self.columns: set[str] = set()
        self.times: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._last = (tag, dict(attrs))
        self._found.append(self._last)
        if tag not in {"input", "meta", "link", "br"}:
            self._open.append(dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
        tag, attributes = self._last
        if tag == "th" and attributes.get("scope") == "col":
            self.columns.add(data)
        elif tag == "time":
            self.times.setdefault(str(attributes["datetime"]), data)
        if self._open and self._open[-1]:
            self._by_id[self._open[-1]] = self._by_id.get(self._open[-1], "") + data

    @property
    def text(self) -> str:
        return "\n".join(self._texts)

    def elements(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self._found if name == tag]

    def by_id(self, identifier: str) -> dict[str, str | None]:
        found = [each for _, each in self._found if each.get("id") == identifier]
        return found[0] if found else {}

    def text_of(self, identifier: str) -> str:
        return self._by_id[identifier]
