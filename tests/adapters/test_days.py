"""Days are cut where Python's time zone data cut them, whatever data the database has."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta, tzinfo
from datetime import timezone as tz
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Count

from django_opentrain.adapters import base, day_bounds, day_of
from django_opentrain.models import WebhookEvent
from tests.factories import make_endpoint, make_install

pytestmark = pytest.mark.django_db

SINCE, UNTIL = date(2026, 2, 20), date(2026, 11, 10)
#: With an offset of half an hour, of quarters; a summer time of half an hour; whose clocks change at midnight.
ZONES = [
    "UTC",
    "America/Vancouver",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Beirut",
]


class LastingSummer(tzinfo):
    """Vancouver, as newer data may say: in November the clocks aren't set back any more."""

    BEGINS = datetime(2026, 3, 8, 10, tzinfo=tz.utc)
    WINTER, SUMMER = timedelta(hours=-8), timedelta(hours=-7)

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        return self.SUMMER if moment.replace(tzinfo=tz.utc) - self.WINTER >= self.BEGINS else self.WINTER

    def fromutc(self, moment: datetime) -> datetime:
        return moment + (self.SUMMER if moment.replace(tzinfo=tz.utc) >= self.BEGINS else self.WINTER)

    def dst(self, _moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _moment: datetime | None) -> str:
        return "PDT"


def check(zone: tzinfo) -> None:
    endpoint = make_endpoint(make_install())
    midnights = [datetime.combine(SINCE + timedelta(days=n), datetime.min.time(), zone) for n in range(265)]
    seconds = (-3600, -1800, -1, 0, 1, 1800, 3600, 12 * 3600)
    moments = {
        midnight.astimezone(tz.utc) + timedelta(seconds=each) for midnight in midnights for each in seconds
    }
    WebhookEvent.objects.bulk_create(
        [
            WebhookEvent(endpoint=endpoint, digest=f"{number}", received_at=moment)
            for number, moment in enumerate(moments)
        ]
    )
    begin, end = day_bounds(SINCE, UNTIL)
    rows = WebhookEvent.objects.filter(received_at__gte=begin, received_at__lt=end)
    found = dict(rows.annotate(day=day_of("received_at", SINCE, UNTIL)).values_list("received_at", "day"))
    assert found == {
        moment: day for moment in moments if SINCE <= (day := moment.astimezone(zone).date()) <= UNTIL
    }
    days = rows.annotate(day=day_of("received_at", SINCE, UNTIL)).order_by("day").values("day")
    counts = dict(days.annotate(count=Count("pk")).values_list("day", "count"))
    assert counts == Counter(found.values())


@pytest.mark.long
@pytest.mark.parametrize("zone", ZONES)
def test_each_time_is_on_the_day_that_python_says(zone: str, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": zone}
    check(ZoneInfo(zone))


def test_the_databases_own_data_may_be_older(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ZoneInfo", lambda _name: LastingSummer())
    check(LastingSummer())


def test_no_time_zone_tables_are_needed(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "USAGE_TIME_ZONE": "America/Vancouver"}
    query = WebhookEvent.objects.annotate(day=day_of("received_at", SINCE, UNTIL)).values("day").query
    assert "Vancouver" not in str(query)
