"""The codes of the API's errors, from their declarations."""

from __future__ import annotations

from django_opentrain.api.exceptions import CODES
from tests.reference.markdown import PACKAGE, comments_of_items, table


def errors() -> str:
    """A row for each."""
    said = comments_of_items(PACKAGE / "api" / "exceptions.py", "CODES")
    rows = [(f"`{code}`", str(status), *_when_and_then(said[code])) for code, status in CODES.items()]
    return table("Code", "Status", "When", "What to do", rows=rows)


def _when_and_then(text: str) -> tuple[str, str]:
    when, _, then = text.removesuffix(".").partition(". ")
    return when, then
