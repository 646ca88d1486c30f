"""Faults on order: the next API calls that match fail, hang, or lose their answer.

========  ==========================================================================
error     refused with ``status`` and the envelope; nothing happens
empty     ``status`` with no body, as from a proxy; nothing happens
html      ``status`` with an HTML page, as from a proxy; nothing happens
slow      takes effect, the answer comes ``seconds`` (real ones) late
drop      takes effect, the connection closes without an answer
truncate  takes effect, the answer breaks off in the middle
========  ==========================================================================
"""

from __future__ import annotations

import dataclasses
import re
from email.utils import formatdate
from http import HTTPStatus

from django_opentrain.platform.catalog import ERROR_STATUSES
from django_opentrain.sandbox.errors import ApiError
from django_opentrain.sandbox.http import Response, error_response
from django_opentrain.sandbox.models import Fault
from django_opentrain.sandbox.store import Store

KINDS = ("error", "empty", "html", "slow", "drop", "truncate")
#: Of the kinds whose status isn't 500 when none is named.
USUAL_STATUSES = {"empty": 503, "html": 502}
#: How long a 429 asks to wait, where it does.
LIMITED_SECONDS = 30
_CODES = {status: code for code, status in ERROR_STATUSES.items()}


def take(store: Store, method: str, path: str) -> Fault | None:
    """The oldest fault on order for this call, one use less."""
    with store.transaction():
        for fault in store.all(Fault):
            if re.fullmatch(fault.match, f"{method} {path}"):
                fault.times -= 1
                if fault.times > 0:
                    store.put(fault)
                else:
                    store.remove(fault)
                return fault
    return None


def refusal(fault: Fault, rate_limit: str, now: float) -> Response | None:
    """The answer that replaces the call, or None when the call is to take effect.

    :param rate_limit: what a 429 says of itself when the fault doesn't (see :mod:`.readings`).
    """
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        headers["Retry-After"] = fault.retry_after
    elif fault.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers = _rate_limit_headers(rate_limit, now + LIMITED_SECONDS)
    if fault.kind == "error":
        code = _CODES.get(fault.status, "INTERNAL_ERROR" if fault.status >= 500 else "BAD_REQUEST")
        message = f"{_phrase(fault.status)} (ordered from the sandbox)"
        return error_response(ApiError(code, message, status=fault.status, headers=headers))
    if fault.kind == "empty":
        return Response(status=fault.status, headers=headers, body=b"")
    if fault.kind == "html":
        page = f"<!doctype html><title>{fault.status}</title><h1>{_phrase(fault.status)}</h1>"
        headers["Content-Type"] = "text/html; charset=utf-8"
        return Response(status=fault.status, headers=headers, body=page.encode())
    return None


def _rate_limit_headers(rate_limit: str, reset_at: float) -> dict[str, str]:
    headers = {
        "seconds": {"Retry-After": str(LIMITED_SECONDS)},
        "date": {"Retry-After": formatdate(reset_at, usegmt=True)},
        "reset": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(reset_at))},
    }
    return headers.get(rate_limit, {})


def with_fault(response: Response, fault: Fault) -> Response:
    """The answer of a call that took effect, with the fault applied."""
    return dataclasses.replace(
        response,
        delay_seconds=fault.seconds,
        drop=fault.kind == "drop",
        truncate=fault.kind == "truncate",
    )


def _phrase(status: int) -> str:
    known = {each.value: each.phrase for each in HTTPStatus}
    return known.get(status, f"Status {status}")
