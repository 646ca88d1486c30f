"""Which day a moment belongs to."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django_opentrain.conf import conf


def work_day(moment: datetime) -> date:
    """The day in ``USAGE_TIME_ZONE``."""
    return moment.astimezone(ZoneInfo(conf.usage_time_zone)).date()
