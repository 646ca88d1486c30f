"""Trouble on order: the next API calls that match fail, hang, or lose their answer.

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
from http import HTTPStatus

from django_opentrain.platform.catalog import ERROR_STATUSES
from django_opentrain.sandbox.errors import ApiError, bad_request
from django_opentrain.sandbox.http import Response, error_response
from django_opentrain.sandbox.models import Fault, new_id
from django_opentrain.sandbox.store import Store

KINDS = ("error", "empty", "html", "slow", "drop", "truncate")
_CODES = {status: code for code, status in ERROR_STATUSES.items()}


class Faults:
    """The faults on order. Each is used up after ``times`` matching calls."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        kind: str,
        *,
        match: str = ".*",
        times: int = 1,
        status: int | None = None,
        seconds: float = 0.0,
        retry_after: str | None = None,
    ) -> Fault:
        """Order one.

        :param match: regular expression for the whole of ``METHOD /path``, the path being what
            follows the API's base: ``POST /project-links``, ``.* /contracts/.*``.
        :param status: 500 for "error", 503 for "empty", 502 for "html" when left out.
        :param retry_after: the value of a ``Retry-After`` header.
        """
        if kind not in KINDS:
            raise bad_request(f"A fault's kind is one of {', '.join(KINDS)}")
        if status is not None and not 400 <= status <= 599:
            raise bad_request("A fault's status is from 400 to 599")
        try:
            re.compile(match)
        except re.error as error:
            raise bad_request(f"match is not a regular expression: {error}") from error
        usual = {"empty": 503, "html": 502}.get(kind, 500)
        fault = Fault(
            id=new_id("flt"),
            kind=kind,
            match=match,
            times=times,
            status=status or usual,
            seconds=seconds,
            retry_after=retry_after,
        )
        with self._store.transaction():
            self._store.put(fault)
        return fault

    def clear(self) -> None:
        """Cancel all that are left."""
        with self._store.transaction():
            for fault in self._store.all(Fault):
                self._store.remove(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The oldest fault for this call, one use less."""
        with self._store.transaction():
            for fault in self._store.all(Fault):
                if re.fullmatch(fault.match, f"{method} {path}"):
                    fault.times -= 1
                    if fault.times > 0:
                        self._store.put(fault)
                    else:
                        self._store.remove(fault)
                    return fault
        return None


def refusal(fault: Fault) -> Response | None:
    """The answer that replaces the call, or None when the call is to take effect."""
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
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


def spoil(response: Response, fault: Fault) -> Response:
    """The answer of a call that took effect, with the fault upon it."""
    return dataclasses.replace(
        response,
        delay_seconds=fault.seconds,
        drop=fault.kind == "drop",
        truncate=fault.kind == "truncate",
    )


def _phrase(status: int) -> str:
    known = {each.value: each.phrase for each in HTTPStatus}
    return known.get(status, f"Status {status}")
