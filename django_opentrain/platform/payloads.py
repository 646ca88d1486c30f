"""The bodies of webhooks, parsed without trusting them.

Source: OpenTrain's documentation, "Webhooks". A signature proves who sent a body, not that it makes sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.platform.values import as_datetime, as_id, as_text, load_json

#: Longer than any event type there is; an unknown one that is longer is cut, since it is ignored anyway.
MAX_TYPE: Final = 100


@without_locals
def parse_body(body: bytes) -> dict[str, Any] | None:
    """The JSON object in ``body``, or None when it holds anything else, NaN and Infinity included."""
    try:
        value = load_json(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


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
    created: object  # as it came: it is read when the event takes effect, not while OpenTrain waits
    data: Mapping[str, Any] = field(repr=False)  # it holds the Work Email

    @classmethod
    @without_locals
    def from_body(cls, body: bytes) -> Event | None:
        """None when the body is not a JSON object. Whatever else is missing or ill-typed is empty."""
        payload = parse_body(body)
        if payload is None:
            return None
        data = payload.get("data")
        return cls(
            id=as_id(payload.get("id")),
            type=as_text(payload.get("type"), MAX_TYPE),
            resource_id=as_id(payload.get("resourceId")),
            job_id=as_id(payload.get("jobId")),
            created=payload.get("createdAt"),
            data=data if isinstance(data, dict) else {},
        )

    @property
    def created_at(self) -> datetime | None:
        """When OpenTrain made it; None where the body has no valid time."""
        return as_datetime(self.created)
