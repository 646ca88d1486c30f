"""The signals, from the comments above them."""

from __future__ import annotations

from tests.reference.markdown import PACKAGE, comments, table


def signals() -> str:
    """A row for each."""
    rows = []
    for name, text in comments(PACKAGE / "signals.py").items():
        meaning, _, arguments = text.partition(" Arguments: ")
        rows.append((f"`{name}`", arguments.removesuffix("."), meaning.removesuffix(".")))
    return table("Signal", "Arguments", "Sent when", rows=rows)
