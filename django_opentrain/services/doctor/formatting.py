"""How a finding names things."""

from __future__ import annotations

from typing import Final

from django_opentrain.models import Install

_UNITS: Final = ((86_400, "days"), (3600, "hours"))
LONGEST_LINE: Final = 300


def customer(install: Install) -> str:
    """Whose it is, with the id that ``opentrain_sync --install`` takes."""
    return f"customer {install.tenant} ({install.opentrain_id or install.pk})"


def format_duration(seconds: float) -> str:
    """A time span in days or hours if it has at least two of them, else in minutes."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def in_one_line(text: str) -> str:
    """Without line breaks, and bounded: an adapter's error may be anything."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
