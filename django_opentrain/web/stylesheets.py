"""The stylesheet of our pages in Django's admin."""

from __future__ import annotations

from typing import Final

from django.forms import Media
from django.templatetags.static import static

ADMIN: Final = "opentrain/admin.css"


def admin_media() -> Media:
    """Our stylesheet, unless the site's manifest lacks it: the pages work without it."""
    try:
        static(ADMIN)
    except ValueError:
        return Media()
    return Media(css={"all": [ADMIN]})
