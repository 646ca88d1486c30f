"""Reads one HTTP response of OpenTrain's: its bounded body, its JSON, its error envelope.

Source: OpenTrain's developer documentation, "Errors". Rate limits are not documented: Retry-After is read as
RFC 9110, section 10.2.3, has it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from django_opentrain.platform.credentials import BearerToken
from django_opentrain.platform.errors import (
    BY_STATUS,
    Forbidden,
    MissingScope,
    OpenTrainAPIError,
    OpenTrainError,
    ServerError,
    UnusableResponse,
)
from django_opentrain.platform.operations import Operation
from django_opentrain.platform.redaction import redact, redact_all
from django_opentrain.platform.values import load_json

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
#: Characters of each text of an error that are kept.
MAX_MESSAGE: Final = 300
MAX_RETRY_AFTER_SECONDS: Final = 86_400
_CHUNK_BYTES: Final = 16 * 1024

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,12}")
# Only the form that senders must use: the parser of the standard library guesses at everything else.
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")

_SUMMARIES: Final = {
    400: "OpenTrain refused the request",
    401: "OpenTrain rejected the token",
    403: "OpenTrain doesn't allow this",
    404: "OpenTrain didn't find it",
    409: "OpenTrain reports a conflict",
    429: "Rate limited by OpenTrain",
}


@dataclass(frozen=True)
class Success:
    """A 2xx response: its JSON, or None for a 204.

    ``gone``: a retried DELETE found nothing left to delete. ``outcome_unknown``: an earlier attempt of the call got
    no response, and may still take effect.
    """

    status: int
    request_id: str = ""
    document: object = field(default=None, repr=False)
    gone: bool = False
    outcome_unknown: bool = False


@dataclass(frozen=True)
class Failure:
    """Any other outcome. ``transient``: the same request may succeed a moment later."""

    error: OpenTrainError
    transient: bool

    @property
    def status(self) -> int:
        """HTTP status of the response; 0 without one."""
        return self.error.status if isinstance(self.error, OpenTrainAPIError) else 0


@dataclass(frozen=True)
class Body:
    """A response's body, or why there is none."""

    content: bytes = field(repr=False)
    problem: str = ""
    transient: bool = False


_LATE: Final = Body(b"", "took too long to arrive", transient=True)


def read_body(response: requests.Response, deadline: float) -> Body:
    """The body, if it is whole, within ``MAX_BODY_BYTES``, and here by ``deadline`` (``time.monotonic``)."""
    content = bytearray()
    try:
        for chunk in _chunks(response):
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                return Body(b"", f"is larger than {MAX_BODY_BYTES} bytes")
            if time.monotonic() > deadline:
                return _LATE
    except (OSError, HTTPError) as exc:
        late = time.monotonic() > deadline
        return _LATE if late else Body(b"", f"broke off ({type(exc).__name__})", transient=True)
    if _is_cut_short(response):
        return Body(b"", "broke off", transient=True)
    return Body(bytes(content))


def parse_response(
    operation: Operation, response: requests.Response, body: Body, token: BearerToken
) -> Success | Failure:
    """The success or failure that a response stands for."""
    status = response.status_code
    document = _parse(body.content)
    envelope = document if isinstance(document, dict) else {}
    request_id = _request_id(envelope, response.headers, token)
    if not 200 <= status < 300:
        error = _api_error(operation, response, envelope, request_id, token)
        return Failure(error, transient=status == 429 or status >= 500)
    problem = body.problem or ("" if document is not None or status == 204 else "is not usable JSON")
    if problem:
        message = f"OpenTrain's response {problem}: {operation.name} may have taken effect."
        return Failure(UnusableResponse(message, status=status, request_id=request_id), body.transient)
    return Success(status, request_id, document)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` asks for (0 to ``MAX_RETRY_AFTER_SECONDS``); None without a usable one.

    A date is measured from the response's own ``Date``, so that a wrong clock here doesn't matter.
    """
    value = headers.get("Retry-After", "").strip()
    if _DIGITS.fullmatch(value):
        return float(min(int(value), MAX_RETRY_AFTER_SECONDS))
    until = _http_date(value)
    if until is None:
        return None
    now = _http_date(headers.get("Date", "")) or datetime.now(timezone.utc)
    return min(max((until - now).total_seconds(), 0.0), float(MAX_RETRY_AFTER_SECONDS))


def _chunks(response: requests.Response) -> Iterator[bytes]:
    raw = response.raw
    if isinstance(raw, HTTPResponse) and hasattr(raw, "read1"):  # urllib3 2.x
        # What is there, at once: read() would wait for a whole chunk, however slowly it drips in.
        return iter(lambda: raw.read1(_CHUNK_BYTES, decode_content=True), b"")
    chunks: Iterator[bytes] = response.iter_content(_CHUNK_BYTES)
    return chunks


def _is_cut_short(response: requests.Response) -> bool:
    """Whether less came than was announced. urllib3 2 raises for that; 1.26 takes the body for whole."""
    announced = response.headers.get("Content-Length", "")
    if "Transfer-Encoding" in response.headers or not _DIGITS.fullmatch(announced):
        return False
    return isinstance(response.raw, HTTPResponse) and response.raw.tell() < int(announced)


def _parse(content: bytes) -> object:
    try:
        return load_json(content)
    except ValueError:
        return None


def _api_error(
    operation: Operation,
    response: requests.Response,
    envelope: Mapping[str, Any],
    request_id: str,
    token: BearerToken,
) -> OpenTrainAPIError:
    status = response.status_code
    text, code, details = envelope.get("error"), envelope.get("code"), envelope.get("details")

    def redacted(reason: str) -> str:
        return redact(token.hide_in(reason), MAX_MESSAGE)

    reason = redacted(text) if isinstance(text, str) else ""
    attributes: dict[str, Any] = {
        "status": status,
        "code": code if isinstance(code, str) and _CODE.fullmatch(code) else "",
        "request_id": request_id,
        "details": redact_all(details, redacted) if isinstance(details, dict) else {},
        "retry_after": retry_after(response.headers),
    }
    message = _message(status, reason, response.headers)
    kind = ServerError if status >= 500 else BY_STATUS.get(status, OpenTrainAPIError)
    if kind is Forbidden and operation.scope and operation.scope in f"{reason} {attributes['details']}":
        return MissingScope(message, scope=operation.scope, **attributes)
    return kind(message, **attributes)


def _message(status: int, reason: str, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        return f"OpenTrain answered {status}, a redirect, which is not followed: it would carry the token elsewhere."
    summary = _SUMMARIES.get(status, "OpenTrain failed" if status >= 500 else "OpenTrain refused the request")
    if reason:
        return f"{summary} ({status}): {reason}"
    media_type = _MEDIA_TYPE.match(headers.get("Content-Type", ""))
    form = f" in {media_type.group()}" if media_type else ""
    return f"{summary} ({status}), without a readable reason{form}."


def _request_id(envelope: Mapping[str, Any], headers: Mapping[str, str], token: BearerToken) -> str:
    for value in (envelope.get("requestId"), headers.get("X-Request-Id")):
        if isinstance(value, str) and _REQUEST_ID.fullmatch(value) and redact(token.hide_in(value)) == value:
            return value
    return ""


def _http_date(value: str) -> datetime | None:
    if not _HTTP_DATE.fullmatch(value):
        return None
    try:
        return parsedate_to_datetime(value).replace(tzinfo=timezone.utc)
    except ValueError:  # no such day or time
        return None
