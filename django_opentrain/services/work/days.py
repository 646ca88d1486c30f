"""Which day a moment belongs to."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from django_opentrain.conf import conf


def work_day(moment: datetime) -> date:
    """The day in ``USAGE_TIME_ZONE``."""
    return moment.astimezone(ZoneInfo(conf.usage_time_zone)).date()


def oldest_derived_day() -> date:
    """The first day whose total follows from the ledger: older entries may be purged, or soon be.

    One day more is kept: what was done before midnight says how much of the first action after it counts.
    """
    return work_day(timezone.now()) - timedelta(days=conf.work_retention_days - 1)
