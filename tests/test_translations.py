"""Every text for people can be translated, and is in the German catalogue. Nothing here needs gettext's tools.

After a change of texts, in ``django_opentrain/``, with gettext installed: ``django-admin makemessages --locale de
--no-wrap --add-location file --no-obsolete``, translate what is empty or fuzzy, ``django-admin compilemessages``.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation import ngettext
from django.utils.translation.template import templatize

import django_opentrain

PACKAGE = Path(django_opentrain.__file__).parent
CATALOGUE = PACKAGE / "locale" / "de" / "LC_MESSAGES" / "django.po"
#: The functions that mark a text, with what their first arguments are.
MARKS = {
    "_": ("id",),
    "gettext": ("id",),
    "gettext_lazy": ("id",),
    "ngettext": ("id", "plural"),
    "ngettext_lazy": ("id", "plural"),
    "pgettext": ("context", "id"),
    "pgettext_lazy": ("context", "id"),
    "npgettext": ("context", "id", "plural"),
    "npgettext_lazy": ("context", "id", "plural"),
}
LITERAL = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
CALL = re.compile(rf"\b({'|'.join(MARKS)})\(({LITERAL}(?:, {LITERAL})*)")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%|<[^>]+>")
HIDDEN = re.compile(
    r"{% comment.*?{% endcomment %}|{% block (?:bodyclass|coltype).*?{% endblock %}"
    r"|{% blocktranslate.*?{% endblocktranslate %}|{%.*?%}|{{.*?}}|{#.*?#}",
    re.DOTALL,
)
SHOWN_ATTRIBUTE = re.compile(r'(?:alt|title|placeholder|aria-label)="([^"]*)"')
#: A name, in every language.
NAMES = {"OpenTrain"}

Key = tuple[str, str, str]


@dataclass
class Entry:
    """One text of the catalogue."""

    parts: dict[str, str] = field(default_factory=dict)
    fuzzy: bool = False

    @property
    def key(self) -> Key:
        return self.parts.get("msgctxt", ""), self.parts["msgid"], self.parts.get("msgid_plural", "")

    @property
    def translations(self) -> list[str]:
        return [text for name, text in sorted(self.parts.items()) if name.startswith("msgstr")]

    def is_whole(self) -> bool:
        """Translated, by a person, in each of its forms, and with all that is filled in."""
        _context, text, plural = self.key
        sources = [text, plural] if plural else [text]
        if self.fuzzy or not all(self.translations) or len(self.translations) != len(sources):
            return False
        return all(map(_same_places, sources, self.translations))


def _same_places(source: str, translated: str) -> bool:
    return sorted(PLACEHOLDER.findall(source)) == sorted(PLACEHOLDER.findall(translated))


def entries() -> list[Entry]:
    """What the .po file says, without its header."""
    found: list[Entry] = []
    for block in CATALOGUE.read_text(encoding="utf-8").split("\n\n"):
        entry, name = Entry(), ""
        for line in block.splitlines():
            if line.startswith("#"):
                entry.fuzzy |= line.startswith("#,") and "fuzzy" in line
                continue
            keyword, _, literal = line.partition('"')
            name = keyword.strip() or name
            entry.parts[name] = entry.parts.get(name, "") + ast.literal_eval(f'"{literal}')
        if entry.parts.get("msgid"):
            found.append(entry)
    return found


def key(name: str, arguments: list[str]) -> Key:
    named = dict(zip(MARKS[name], arguments, strict=False))
    return named.get("context", ""), named["id"], named.get("plural", "")


def marked_in_python() -> Iterator[Key]:
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
                arguments = [each.value for each in node.args if isinstance(each, ast.Constant)]
                yield key(node.func.id, [each for each in arguments if isinstance(each, str)])


def templates() -> list[Path]:
    return sorted(path for path in (PACKAGE / "templates").rglob("*") if path.is_file())


def marked_in_templates() -> Iterator[Key]:
    for template in templates():
        for name, literals in CALL.findall(templatize(template.read_text(encoding="utf-8"), str(template))):
            yield key(name, list(ast.literal_eval(f"({literals},)")))


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("template", templates(), ids=named)
def test_a_template_has_no_text_that_is_not_marked(template: Path) -> None:
    rest = HIDDEN.sub(" ", template.read_text(encoding="utf-8"))
    texts = [*SHOWN_ATTRIBUTE.findall(rest), re.sub(r"<[^>]*>", " ", rest)]
    words = {word for text in texts for word in re.findall(r"[^\W\d_]{2,}", text)}
    assert words <= NAMES


def test_the_catalogue_has_every_text_and_no_other() -> None:
    assert {entry.key for entry in entries()} == {*marked_in_python(), *marked_in_templates()}


def test_every_text_is_translated() -> None:
    assert [entry.key for entry in entries() if not entry.is_whole()] == []


def test_the_compiled_catalogue_says_the_same() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for entry in entries():
        context, text, plural = entry.key
        one = partial(compiled.pgettext, context) if context else compiled.gettext
        some = partial(compiled.npgettext, context) if context else compiled.ngettext
        said = [some(text, plural, count) for count in (1, 2)] if plural else [one(text)]
        assert said == entry.translations


def test_django_finds_the_catalogue() -> None:
    with translation.override("de"):
        assert translation.gettext("Connect to OpenTrain") == "Mit OpenTrain verbinden"
        singular, plural = (
            "%(count)d trainer waits for a Work Email.",
            "%(count)d trainers wait for a Work Email.",
        )
        assert ngettext(singular, plural, 2) == "%(count)d Trainer warten auf eine Work Email."
