"""CSV files for spreadsheets, sent while they are read from the database.

Spreadsheets take a cell that begins like a formula for one, and run it (CWE-1236), no matter who wrote it: a text
that does gets an apostrophe. They open a file as UTF-8 if it begins with a byte order mark, and expect the separators
of the reader's language: with a decimal comma, semicolons between cells.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import translation
from django.utils.formats import get_format

Cell = str | int | Decimal | date | bool | None
Row = Sequence[Cell]

_BOM: Final = "\ufeff"
#: What begins a formula, or is left out before one.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class _Lines:
    """Where ``csv`` writes: it returns the line."""

    def write(self, line: str) -> str:
        return line


def download(
    request: HttpRequest, name: str, head: Sequence[str], batches: Iterable[Callable[[], Iterable[Row]]]
) -> HttpResponse:
    """A CSV file as an attachment.

    :param name: its name: ASCII letters, digits and hyphens.
    :param batches: each makes some of the rows: in the language of the request, which has ended by then.
    """
    comma = get_format("DECIMAL_SEPARATOR") == ","
    content = _content(head, batches, decimal_comma=comma, language=translation.get_language() or "en")
    under_asgi = isinstance(request, ASGIRequest)
    response = StreamingHttpResponse(
        _in_turn(content) if under_asgi else content, content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    # The two have the base class that views promise.
    return response  # type: ignore[return-value]


async def _in_turn(parts: Iterator[str]) -> AsyncIterator[str]:
    """Under ASGI Django would read all of a plain iterator before it sends anything."""
    following = sync_to_async(partial(next, parts, ""))
    while part := await following():
        yield part


def _content(
    head: Sequence[str],
    batches: Iterable[Callable[[], Iterable[Row]]],
    *,
    decimal_comma: bool,
    language: str,
) -> Iterator[str]:
    writer = csv.writer(_Lines(), delimiter=";" if decimal_comma else ",")
    line: Callable[[Iterable[str]], str] = writer.writerow
    yield _BOM + line(head)
    for batch in batches:
        # Not around the yield: what else the thread does has its own language.
        with translation.override(language):
            lines = [line(_text(cell, decimal_comma=decimal_comma) for cell in row) for row in batch()]
        if lines:
            yield "".join(lines)


def _text(cell: Cell, *, decimal_comma: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (int, Decimal)):
        number = f"{cell:f}" if isinstance(cell, Decimal) else str(cell)
        return number.replace(".", ",") if decimal_comma else number
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
