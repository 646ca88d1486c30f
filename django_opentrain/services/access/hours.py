"""Which contract pays for which moment: at each instant it is exactly one.

A function of when the contracts were active alone: in whatever order that is learned, and however late, the answer is
the same. Of several that are active the one that began first pays. Where none is, though the trainer still had access
(their contract's end is learned a moment late, and then access is closed), the one that ended last does; before the
first one begins, that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from itertools import groupby
from typing import Final

from django.db.models import Q

BEGINNING: Final = datetime.min.replace(tzinfo=timezone.utc)
END: Final = datetime.max.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True, order=True)
class Span:
    """When a contract was active, from ``begin`` up to ``end``; in the order of their begins."""

    begin: datetime
    contract: int
    end: datetime = END


@dataclass(frozen=True, kw_only=True)
class Hours:
    """A time during which one contract pays, from ``since`` up to ``until``."""

    contract: int
    since: datetime
    until: datetime

    def condition(self, column: str) -> Q:
        """For rows whose ``column`` is in this time."""
        after = Q() if self.since == BEGINNING else Q(**{f"{column}__gte": self.since})
        return after if self.until == END else after & Q(**{f"{column}__lt": self.until})


def paid(spans: Sequence[Span]) -> Iterator[Hours]:
    """All of time, cut where another contract pays, if there is one."""
    if not spans:
        return
    edges = sorted({BEGINNING, *(span.begin for span in spans), *(span.end for span in spans)} - {END})
    begins = [(next(times), contract) for contract, times in groupby(edges, partial(payer, spans))]
    ends = [*(since for since, _contract in begins[1:]), END]
    for (since, contract), until in zip(begins, ends, strict=True):
        yield Hours(contract=contract, since=since, until=until)


def payer(spans: Sequence[Span], at: datetime) -> int:
    """The contract that pays at this instant: one of at least one."""
    active = [span for span in spans if span.begin <= at < span.end]
    ended = [span for span in spans if span.end <= at]
    if ended and not active:
        return max(ended, key=lambda span: (span.end, span.begin, span.contract)).contract
    return min(active or spans).contract
