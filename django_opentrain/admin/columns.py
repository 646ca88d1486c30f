"""Columns: badges, relative times, problems, and links.

Each ``…_column`` makes a method for ``list_display`` or a fieldset, of a ``ModelAdmin`` or an inline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from django.contrib import admin
from django.db import models
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from django_opentrain import relative_time
from django_opentrain.errors import UndecryptableError
from django_opentrain.platform.redaction import mask
from django_opentrain.platform.tracebacks import without_locals

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    Label = _StrOrPromise

EMPTY: Final = "—"
MAX_PROBLEM: Final = 80
#: Characters of an id in a list, and of a name: a list fits into a window of 1280 pixels.
MAX_ID_SHOWN: Final = 14
MAX_NAME_SHOWN: Final = 40
MAX_WHOLE_PROBLEM: Final = 2000

Tone = Literal["good", "busy", "warn", "bad", "off"]
Column = Callable[[Any, Any], str]


def badge(words: Label, tone: Tone) -> str:
    """A state in words; the colour only repeats them."""
    return format_html('<span class="opentrain-badge opentrain-{}">{}</span>', tone, words)


def age(moment: datetime | None) -> str:
    """A relative time, with the absolute one as its title."""
    if moment is None:
        return EMPTY
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        localize(timezone.localtime(moment)),
        relative_time.age(moment),
    )


def shortened(text: str, limit: int = MAX_ID_SHOWN, title: str = "") -> str:
    """The beginning and the end of a long id, or of a name; as its title all of it, or what is given."""
    short, end = text, (limit - 1) // 3
    if len(text) > limit:
        short = f"{text[: limit - 1 - end]}…{text[-end:]}"
    if short == (title or text):
        return text or EMPTY
    return format_html('<span title="{}">{}</span>', title or text, short)


def problem(text: str, limit: int = MAX_PROBLEM) -> str:
    """An error message; any address or secret in it is masked."""
    if not text:
        return EMPTY
    text = mask(text)
    return format_html(
        '<span class="opentrain-problem">{}</span>', text if len(text) <= limit else text[:limit] + "…"
    )


def web_link(url: str) -> str:
    """A link to a page of the host or of OpenTrain; any other scheme stays text."""
    if not url.lower().startswith(("https://", "http://")):
        return url or EMPTY
    return format_html('<a href="{}" rel="noopener noreferrer">{}</a>', url, url)


@without_locals  # what was decrypted
def sealed(read: Callable[[], Any], show: Callable[[Any], str]) -> str:
    """What ``show`` makes of an encrypted value, or why it can't be decrypted: the page opens in any case."""
    try:
        value = read()
    except UndecryptableError as error:
        return format_html('<span class="opentrain-problem">{}</span>', str(error))
    return show(value) if value else EMPTY


def follow(row: models.Model, path: str) -> Any:
    """The attribute at the end of ``path``, a lookup such as ``contract__install``."""
    value: Any = row
    for name in path.split("__"):
        value = getattr(value, name)
    return value


def column(description: Label, show: Callable[[Any], str], ordering: str | None = None) -> Column:
    """A column that shows what ``show`` makes of the row."""

    @admin.display(description=description, ordering=ordering)
    def cell(_admin: Any, row: Any) -> str:
        return show(row)

    return cell


def short_column(name: str, description: Label, limit: int = MAX_ID_SHOWN) -> Column:
    """A long id, or the name of another row, cut to the width of a list."""
    return column(description, lambda row: shortened(str(getattr(row, name) or ""), limit), ordering=name)


def age_column(name: str, description: Label) -> Column:
    """A time as a relative time."""
    return column(description, lambda row: age(getattr(row, name)), ordering=name)


def problem_column(*names: str) -> Column:
    """The first of these errors that there is, cut to the width of a list."""

    def first(row: Any) -> str:
        return problem(next((error for name in names if (error := getattr(row, name))), ""))

    return column(gettext_lazy("problem"), first)


def whole_problem_column(name: str, description: Label) -> Column:
    """An error at length, for the row's own page."""
    return column(description, lambda row: problem(getattr(row, name), MAX_WHOLE_PROBLEM))


def link_column(name: str, description: Label) -> Column:
    """A URL as a link."""
    return column(description, lambda row: web_link(getattr(row, name)))


def badge_column(name: str, description: Label, tones: Mapping[str, Tone]) -> Column:
    """A field with choices as a badge."""
    return column(
        description,
        lambda row: badge(getattr(row, f"get_{name}_display")(), tones.get(getattr(row, name), "off")),
        ordering=name,
    )


def masked_column(name: str, description: Label) -> Column:
    """A text that may contain an address from the host."""
    return column(description, lambda row: mask(getattr(row, name)) or EMPTY, ordering=name)
