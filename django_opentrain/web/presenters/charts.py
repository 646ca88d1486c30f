"""Charts of stacked columns, as the coordinates of an SVG: no script, no style, and a table beside each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

#: Of the drawing, in its own units: the page stretches it.
WIDTH: Final = 960
HEIGHT: Final = 160
#: The share of its place that a column fills.
FILLED: Final = 0.72
#: A single one of a thousand is still seen.
LOWEST: Final = 3.0
#: The first digit of a scale's end.
STEPS: Final = (1, 2, 3, 4, 5, 6, 8)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a column; its lengths are as SVG writes numbers, in every language."""

    tone: str
    y: str
    height: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """A bar: the numbers in its title are those that it shows."""

    title: str
    x: str
    width: str
    segments: Sequence[Segment]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing; ``top`` is the number that its height stands for."""

    top: int
    columns: Sequence[Column]

    @property
    def view_box(self) -> str:
        return f"0 0 {WIDTH} {HEIGHT}"


def stacked(columns: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> Chart:
    """A chart of columns, each with a title and its numbers by tone, the lowest first."""
    top = scale_end(ceil(max((sum(n for _tone, n in parts) for _title, parts in columns), default=0)))
    place = WIDTH / max(len(columns), 1)
    return Chart(
        top=top,
        columns=[
            Column(
                title=title,
                x=_number(place * (index + (1 - FILLED) / 2)),
                width=_number(place * FILLED),
                segments=_segments(parts, top),
            )
            for index, (title, parts) in enumerate(columns)
        ],
    )


def scale_end(peak: int) -> int:
    """The smallest round number that isn't below ``peak``: at least 1."""
    power = int(f"1{'0' * (len(str(peak)) - 1)}")
    return next((step * power for step in STEPS if step * power >= peak), 10 * power)


def _segments(parts: Sequence[tuple[str, float]], top: int) -> list[Segment]:
    heights = [(tone, max(HEIGHT * n / top, LOWEST)) for tone, n in parts if n]
    # What the smallest were given is taken from the whole: a column ends inside the drawing.
    total = sum(height for _tone, height in heights)
    shrunk = min(1.0, HEIGHT / total) if total else 1.0
    segments, y = [], float(HEIGHT)
    for tone, height in heights:
        y -= height * shrunk
        segments.append(Segment(tone=tone, y=_number(y), height=_number(height * shrunk)))
    return segments


def _number(value: float) -> str:
    return f"{max(value, 0):.2f}"
