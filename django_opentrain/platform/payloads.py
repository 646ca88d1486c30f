"""The bodies of webhooks, parsed without trusting them.

Source: OpenTrain's documentation, "Webhooks". A signature proves who sent a body, not that it makes sense.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def parse_body(body: bytes) -> dict[str, Any] | None:
    """The JSON object in ``body``, or None when it holds anything else.

    Stricter than ``json.loads``: NaN, Infinity and what overflows to them are refused (RFC 8259, section 6).
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_id(value: object) -> str:
    """An id as text. OpenTrain doesn't document whether ids are strings or numbers; anything else is ""."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def order_key(event_id: str) -> tuple[int, str]:
    """Sorts event ids as they were issued.

    They increase monotonically; whether they are digits is not documented. Shorter first, then by text, is
    right for numbers, for texts of one length (ULIDs) and for a fixed prefix with a number.
    """
    digits = event_id.lstrip("0") if event_id.isascii() and event_id.isdigit() else event_id
    return (len(digits), digits)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A webhook's envelope. ``data`` stays as it came: most of its keys are not documented."""

    id: str
    type: str
    resource_id: str
    job_id: str
    created_at: str
    data: Mapping[str, Any]

    @classmethod
    def from_body(cls, body: bytes) -> Event | None:
        """None when the body is not a JSON object. Whatever else is missing or ill-typed is empty."""
        payload = parse_body(body)
        if payload is None:
            return None
        event_type, created_at, data = payload.get("type"), payload.get("createdAt"), payload.get("data")
        return cls(
            id=text_id(payload.get("id")),
            type=event_type if isinstance(event_type, str) else "",
            resource_id=text_id(payload.get("resourceId")),
            job_id=text_id(payload.get("jobId")),
            created_at=created_at if isinstance(created_at, str) else "",
            data=data if isinstance(data, dict) else {},
        )
