"""Ages in words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import time_machine

from django_opentrain.relative_time import age

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=-59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=1, minutes=5), "1 hour, 5 minutes ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=-15), "in 2 weeks, 1 day"),
    ],
)
def test_an_age_in_words(distance: timedelta, words: str) -> None:
    with time_machine.travel(NOW, tick=False):
        assert age(NOW - distance).replace("\xa0", " ") == words
