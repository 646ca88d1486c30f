"""Check the built site without a network: ``check_site.py FOLDER``.

Each link and file that a page names is there, with the anchor that it names; no two parts of a page have one id; and
no page loads anything from elsewhere.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes by which a browser loads something; a link's are followed by a person.
LOADS = {("img", "src"), ("script", "src"), ("link", "href"), ("source", "srcset"), ("iframe", "src")}


@dataclass
class Page(HTMLParser):
    """What a page names, and what it can be named by."""

    file: Path
    ids: Counter[str] = field(default_factory=Counter)
    #: Tag, attribute, address.
    named: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids[value] += 1
            elif (name == "href" or (tag, name) in LOADS) and value:
                self.named.append((tag, name, value))


def problems(folder: Path) -> Iterator[str]:
    """A line for each thing that is wrong."""
    pages = {file.resolve(): Page(file) for file in sorted(folder.rglob("*.html"))}
    for page in pages.values():
        short = page.file.relative_to(folder)
        for name in (name for name, times in page.ids.items() if times > 1):
            yield f"{short}: two parts have the id {name}"
        for tag, attribute, address in page.named:
            if problem := _problem(pages, page, (tag, attribute), address):
                yield f"{short}: {address} {problem}"


def _problem(pages: dict[Path, Page], page: Page, where: tuple[str, str], address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:
        return "is loaded from elsewhere" if where in LOADS else ""
    file = (page.file.parent / unquote(parts.path)).resolve() if parts.path else page.file.resolve()
    if not file.is_file():
        return "is not there"
    anchor = unquote(parts.fragment)
    if anchor and file in pages and anchor not in pages[file].ids:
        return "has no such part"
    return ""


def main() -> None:
    """Print what is wrong, and fail if anything is."""
    folder = Path(sys.argv[1])
    found = list(problems(folder))
    print(*found, f"{len(found)} problems in {len(list(folder.rglob('*.html')))} pages", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
