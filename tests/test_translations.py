"""Every text for people can be translated, and is in every catalogue. Nothing here needs gettext's tools.

After a change of texts, in ``django_opentrain/``, with gettext installed: ``django-admin makemessages --all
--no-wrap --add-location file --no-obsolete``, translate what is empty or fuzzy, ``django-admin compilemessages``.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation import ngettext
from django.utils.translation.template import templatize

import django_opentrain

PACKAGE = Path(django_opentrain.__file__).parent
CATALOGUES = sorted(PACKAGE.glob("locale/*/LC_MESSAGES/django.po"))
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
NUMBER = re.compile(r"%\(\w+\)d")
#: Numbers among which each plural form of each language occurs.
COUNTS = range(1000)
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

    def is_whole(self, plurals: Plurals) -> bool:
        """Translated, by a person, in each of its forms, and with all that is filled in."""
        _context, text, plural = self.key
        if self.fuzzy or not all(self.translations):
            return False
        if not plural:
            return len(self.translations) == 1 and _places(text) == _places(self.translations[0])
        return len(self.translations) == plurals.forms and all(
            _places(form)
            in ([_places(plural)] + [_places(text)] * one + [_places(NUMBER.sub("", plural))] * exact)
            for form, one, exact in zip(self.translations, plurals.one, plurals.exact, strict=True)
        )


class Plurals:
    """What the head of a catalogue says of its plural forms."""

    def __init__(self, catalogue: Path) -> None:
        head = re.search(r"nplurals=(\d); plural=(.+?);", catalogue.read_text(encoding="utf-8"))
        assert head is not None
        self.forms = int(head[1])
        form_of: Callable[[int], int] = gettext.c2py(head[2])
        self.examples = [[n for n in COUNTS if form_of(n) == form] for form in range(self.forms)]
        #: Of each form, whether it is the singular's.
        self.one = [1 in numbers for numbers in self.examples]
        #: Of each form, whether it stands for one number only, which its text needn't show.
        self.exact = [len(numbers) == 1 for numbers in self.examples]


def _places(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))


def entries(catalogue: Path) -> list[Entry]:
    """What the .po file says, without its header."""
    found: list[Entry] = []
    for block in catalogue.read_text(encoding="utf-8").split("\n\n"):
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


every_catalogue = pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parent.parent.name)


def test_there_are_these_languages() -> None:
    languages = {path.parent.parent.name for path in CATALOGUES}
    assert languages == {"ar", "de", "es", "fr", "ja", "pt_BR", "zh_Hans"}


@every_catalogue
def test_a_catalogue_has_every_text_once_and_no_other(catalogue: Path) -> None:
    keys = [entry.key for entry in entries(catalogue)]
    assert set(keys) == {*marked_in_python(), *marked_in_templates()}
    assert len(keys) == len(set(keys))


@every_catalogue
def test_every_text_is_translated(catalogue: Path) -> None:
    plurals = Plurals(catalogue)
    assert all(plurals.examples)
    assert [entry.key for entry in entries(catalogue) if not entry.is_whole(plurals)] == []


@every_catalogue
def test_every_text_can_be_filled_in(catalogue: Path) -> None:
    """As gettext's callers do it, also where a translator has left a percent sign alone."""
    for entry in entries(catalogue):
        values = dict.fromkeys(re.findall(r"%\((\w+)\)", "".join(entry.key)), 7)
        for text in entry.translations if values else []:
            assert text % values


@every_catalogue
def test_the_compiled_catalogue_says_the_same(catalogue: Path) -> None:
    with catalogue.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    examples = [numbers[0] for numbers in Plurals(catalogue).examples]
    for entry in entries(catalogue):
        context, text, plural = entry.key
        one = partial(compiled.pgettext, context) if context else compiled.gettext
        some = partial(compiled.npgettext, context) if context else compiled.ngettext
        said = [some(text, plural, count) for count in examples] if plural else [one(text)]
        assert said == entry.translations


@every_catalogue
def test_django_finds_the_catalogue(catalogue: Path) -> None:
    singular, plural = (
        "%(count)d trainer waits for a Work Email.",
        "%(count)d trainers wait for a Work Email.",
    )
    translated = {entry.key: entry.translations for entry in entries(catalogue)}
    with translation.override(translation.to_language(catalogue.parent.parent.name)):
        assert [translation.gettext("Connect to OpenTrain")] == translated["", "Connect to OpenTrain", ""]
        for form, numbers in zip(translated["", singular, plural], Plurals(catalogue).examples, strict=True):
            assert {ngettext(singular, plural, count) for count in numbers} == {form}


def test_german_is_what_a_german_product_would_say() -> None:
    with translation.override("de"):
        assert translation.gettext("Connect to OpenTrain") == "Mit OpenTrain verbinden"
