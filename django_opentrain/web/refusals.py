"""Refused deliveries in the log: one line for many of a kind."""

from __future__ import annotations

import logging
import time
from typing import Final
from uuid import UUID

logger = logging.getLogger(__name__)

#: Seconds between two lines about the same endpoint and reason, in one process.
LINE_SECONDS: Final = 60.0
MAX_KINDS: Final = 10_000

#: When the next line is due, and how many were refused since the last one.
_kinds: dict[tuple[UUID, str], tuple[float, int]] = {}


def log(level: int, key: UUID, reason: str) -> bool:
    """Log that a delivery to the endpoint with this key was refused, unless a line just said so; whether it did."""
    now = time.monotonic()
    due, unsaid = _kinds.get((key, reason), (now, 0))
    if now < due:
        _kinds[key, reason] = (due, unsaid + 1)
        return False
    if len(_kinds) >= MAX_KINDS:
        _kinds.clear()
    _kinds[key, reason] = (now + LINE_SECONDS, 0)
    more = f" So were {unsaid} more since the last such line." if unsaid else ""
    text = "Refused a delivery to webhook endpoint %s: %s%s"
    logger.log(level, text, key, reason, more, extra={"endpoint": str(key)})
    return True
