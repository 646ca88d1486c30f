"""Markdown, and what the code says in its docstrings and comments."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PACKAGE: Final = ROOT / "django_opentrain"

#: What a terminal shows as it is.
_LITERAL: Final = re.compile(r"(?<![\w-])(manage\.py \w+|--[a-z][\w-]*|[A-Z]+\['\w+'\])")
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\]\((docs/[\w/.-]+)")
_NAMED: Final = re.compile(r"(?<![\w`/])docs/[\w/-]+\.md(?:#[\w-]+)?")


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: each paragraph in one line, parameters as a list, blocks of code as they are."""
    text, _, parameters = (docstring or "").partition("\n:param ")
    paragraphs = list(_paragraphs(text))
    if parameters:
        listed, _, rest = parameters.partition("\n\n")
        items = [_in_one_line(each).partition(": ") for each in listed.split("\n:param ")]
        paragraphs.append("\n".join(f"- `{name}`: {meaning}" for name, _, meaning in items))
        paragraphs.append(_in_one_line(rest))
    return "\n\n".join(filter(None, paragraphs))


def _paragraphs(text: str) -> Iterator[str]:
    # Every second piece is a block of code.
    for number, piece in enumerate(re.split(r"^(```.*?^```)$", text, flags=re.MULTILINE | re.DOTALL)):
        yield from [piece] if number % 2 else map(_in_one_line, piece.split("\n\n"))


def _in_one_line(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split()))


def comments(source: Path, owner: str = "") -> dict[str, str]:
    """The ``#:`` comments above assignments of a module, or of one of its classes, by name, as Markdown."""
    lines = source.read_text(encoding="utf-8").splitlines()
    return _said(lines, ((name, each.lineno) for name, each in _assigned(lines, owner)))


def comments_of_items(source: Path, name: str) -> dict[str, str]:
    """The same of the dict that a module has under this name, by key."""
    lines = source.read_text(encoding="utf-8").splitlines()
    value = dict(_assigned(lines))[name].value
    keys = value.keys if isinstance(value, ast.Dict) else []
    return _said(lines, ((str(key.value), key.lineno) for key in keys if isinstance(key, ast.Constant)))


def _assigned(lines: list[str], owner: str = "") -> Iterator[tuple[str, ast.Assign | ast.AnnAssign]]:
    body: list[ast.stmt] = ast.parse("\n".join(lines)).body
    if owner:
        body = next(each.body for each in body if isinstance(each, ast.ClassDef) and each.name == owner)
    for each in body:
        if isinstance(each, (ast.Assign, ast.AnnAssign)):
            target = each.target if isinstance(each, ast.AnnAssign) else each.targets[0]
            if isinstance(target, ast.Name):
                yield target.id, each


def _said(lines: list[str], places: Iterable[tuple[str, int]]) -> dict[str, str]:
    found = ((name, _above(lines, number - 1)) for name, number in places)
    return {name: prose(text) for name, text in found if text}


def _above(lines: list[str], number: int) -> str:
    """The ``#:`` comment that ends above this line."""
    first = number
    while lines[first - 1].strip().startswith("#:"):
        first -= 1
    return "\n".join(line.strip()[2:].removeprefix(" ") for line in lines[first:number])


def literal(text: str) -> str:
    """A text for terminals as Markdown: commands, options and settings as code."""
    # Every second piece is code already.
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(each if n % 2 else _LITERAL.sub(r"`\1`", each) for n, each in enumerate(pieces))


def in_a_cell(text: str) -> str:
    """Markdown in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(*columns: str, rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(in_a_cell, line))} |" for line in lines)


def linked(markdown: str, page: Path) -> str:
    """Links to ``docs/…`` as they are from this page; a document that a sentence names is a link with its title."""
    folder = page.relative_to(ROOT).parent
    here = _LINK.sub(lambda found: f"]({os.path.relpath(found[1], folder)}", markdown)

    def titled(found: re.Match[str]) -> str:
        title = _TITLE.search((ROOT / found[0].partition("#")[0]).read_text(encoding="utf-8"))
        return f"[{title[1] if title else found[0]}]({os.path.relpath(found[0], folder)})"

    return _NAMED.sub(titled, here)
