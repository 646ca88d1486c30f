"""Requests in, responses out: what both transports speak."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django_opentrain.platform.payloads import parse_body
from django_opentrain.sandbox.errors import ApiError, bad_request
from django_opentrain.sandbox.models import new_id

JSON = "application/json"
MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Request:
    """``path`` is still percent-encoded; header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """The JSON object in the body; 400 for anything else."""
        if len(self.body) > MAX_BODY_BYTES:
            raise bad_request("The body is too large")
        if self.headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
            raise bad_request(f"The body must be sent as {JSON}")
        value = parse_body(self.body)
        if value is None:
            raise bad_request("The body must be a JSON object")
        return value


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, and how its transmission fails (see :mod:`.faults`)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: Real seconds to wait before sending it.
    delay_seconds: float = 0.0
    #: Close the connection instead of sending it.
    drop: bool = False
    #: Send half of the body, then close.
    truncate: bool = False


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    base = {"Content-Type": JSON, "Cache-Control": "no-store"}
    return Response(status=status, headers={**base, **(headers or {})}, body=body)


def error_response(error: ApiError) -> Response:
    """OpenTrain's error envelope."""
    request_id = new_id("req")
    envelope = {
        "error": error.message,
        "code": error.code,
        "requestId": request_id,
        "details": error.details,
    }
    headers = {**error.headers, "X-Request-Id": request_id}
    return json_response(envelope, status=error.status, headers=headers)
