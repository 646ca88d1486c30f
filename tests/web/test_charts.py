"""Charts: the coordinates of their columns."""

from __future__ import annotations

import pytest

from django_opentrain.web.presenters.charts import HEIGHT, WIDTH, scale_end, stacked


@pytest.mark.parametrize(
    ("peak", "end"), [(0, 1), (1, 1), (7, 8), (9, 10), (29, 30), (30, 30), (81, 100), (4_001, 5_000)]
)
def test_a_scale_ends_at_a_round_number(peak: int, end: int) -> None:
    assert scale_end(peak) == end


def test_columns_stand_side_by_side_and_their_parts_on_each_other() -> None:
    chart = stacked([("first", [("good", 3), ("bad", 1)]), ("second", [("good", 0), ("bad", 2)])])
    assert chart.top == 4
    first, second = chart.columns
    assert float(first.x) + float(first.width) < float(second.x)
    assert float(second.x) + float(second.width) < WIDTH
    good, bad = first.segments
    assert (good.tone, good.y, good.height) == ("good", "40.00", "120.00")
    assert (bad.tone, bad.y, bad.height) == ("bad", "0.00", "40.00")
    assert [part.tone for part in second.segments] == ["bad"]


def test_one_of_a_thousand_is_seen_and_no_column_is_too_high() -> None:
    ((_good, bad),) = [column.segments for column in stacked([("", [("good", 999), ("bad", 1)])]).columns]
    assert float(bad.height) > 2
    assert 0 <= float(bad.y) < HEIGHT


def test_a_chart_of_nothing_is_drawn() -> None:
    assert stacked([]).columns == []
    assert stacked([("now", [("good", 0)])]).columns[0].segments == []
