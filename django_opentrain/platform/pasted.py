"""Texts that people copy and paste: what copying brings along is no part of them."""

from __future__ import annotations

import unicodedata
from typing import Final

from django_opentrain.platform.tracebacks import without_locals

#: Straight and typographic quotes, those of Markdown, and brackets, as mails and chats put them around a text.
_QUOTES: Final = (
    "\"'`<>\u00ab\u00b4\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u2329\u232a\u3008\u3009"
    "\u300a\u300b\u300c\u300d\u300e\u300f\uff02\uff07\uff1c\uff1e"
)
_BLANKS: Final = "".join(each for each in map(chr, range(0x3001)) if each.isspace())
#: Characters without a width: zero-width spaces, soft hyphens, marks of direction, byte order marks.
_UNSEEN: Final = "Cf"


@without_locals  # it may be a token
def unwrapped(text: str) -> str:
    """The text without what can't be seen, and without blanks, quotes and brackets around it. Linear."""
    seen = "".join(each for each in text if unicodedata.category(each) != _UNSEEN)
    return seen.strip(_QUOTES + _BLANKS)
