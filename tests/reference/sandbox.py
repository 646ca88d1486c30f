"""The readings of the sandbox, from their fields."""

from __future__ import annotations

from django_opentrain.sandbox.readings import described
from tests.reference.markdown import table


def readings() -> str:
    """A row for each."""
    rows = (line.partition(": ") for line in described())
    return table("Reading", "Open", rows=((f"`{choices}`", meaning) for choices, _, meaning in rows))
