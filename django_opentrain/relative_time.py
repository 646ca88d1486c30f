"""How long ago a moment was, in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import npgettext_lazy

JUST_NOW: Final = timedelta(minutes=1)

#: Django's own have no context, and "3 days" and the end of "3 days ago" differ in many languages.
_DISTANCES: Final[dict[str, Any]] = {
    "year": npgettext_lazy("… ago, in …", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("… ago, in …", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("… ago, in …", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("… ago, in …", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("… ago, in …", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("… ago, in …", "%(num)d minute", "%(num)d minutes", "num"),
}


def age(moment: datetime) -> str:
    """How long ago it was, or how far off it is: "just now", "1 hour, 5 minutes ago", "in 2 days"."""
    now = timezone.now()
    if abs(now - moment) < JUST_NOW:
        return _("just now")
    if moment <= now:
        return _("%(time)s ago") % {"time": timesince(moment, now, time_strings=_DISTANCES)}
    return _("in %(time)s") % {"time": timeuntil(moment, now, time_strings=_DISTANCES)}
