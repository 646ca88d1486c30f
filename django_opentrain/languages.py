"""One language per page: what has no catalogue of ours is English, whole.

Otherwise Django's own texts, dates and the direction of writing would be in the reader's language beside our English.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from gettext import GNUTranslations
from pathlib import Path
from typing import Final

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.utils import translation
from django.utils.translation import to_language

LOCALE: Final = Path(__file__).parent / "locale"
ENGLISH: Final = "en"
#: Each catalogue of ours has it; one in a site's ``LOCALE_PATHS`` may be about other things.
_SENTINEL: Final = "Connect to OpenTrain"


def catalogues() -> frozenset[str]:
    """The languages of our texts: English, ours, and those that the site has in its ``LOCALE_PATHS``."""
    return _found((LOCALE, *map(Path, settings.LOCALE_PATHS)))


@lru_cache(maxsize=8)
def _found(folders: tuple[Path, ...]) -> frozenset[str]:
    files = (file for folder in folders for file in folder.glob("*/LC_MESSAGES/django.mo"))
    return frozenset({ENGLISH, *(to_language(file.parent.parent.name) for file in files if _is_ours(file))})


def _is_ours(catalogue: Path) -> bool:
    with catalogue.open("rb") as file:
        return GNUTranslations(file).gettext(_SENTINEL) != _SENTINEL


def spoken(language: str) -> str:
    """The language of our texts for a reader of this one, by the rules by which Django finds variants."""
    known = catalogues()
    generic = language.partition("-")[0]
    if language in known or generic in known:
        return language  # with the dates and numbers of its country
    fallbacks = [each for each in LANG_INFO.get(language, {}).get("fallback", ()) if each in known]
    variants = sorted(each for each in known if each.startswith(f"{generic}-"))
    return next(iter(fallbacks + variants), ENGLISH)


def current() -> str:
    """The language that is spoken now: English where the site has switched translations off."""
    return (translation.get_language() if settings.USE_I18N else None) or ENGLISH


@contextmanager
def speaking() -> Iterator[str]:
    """Say all in one language of ours: the one that is active, or English."""
    language = spoken(current())
    with translation.override(language):
        yield language
