"""Sends one request, and retries it where that can do no harm."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NewConnectionError,
)

from django_opentrain import __version__
from django_opentrain.platform.catalog import API_PATH
from django_opentrain.platform.credentials import BearerToken
from django_opentrain.platform.deadlines import MAX_CALL_SECONDS, Attempt, attempting
from django_opentrain.platform.errors import (
    InvalidRequest,
    NotFound,
    OpenTrainConnectionError,
    OpenTrainError,
)
from django_opentrain.platform.operations import Operation
from django_opentrain.platform.responses import Failure, Success, parse_response, read_body
from django_opentrain.platform.tracebacks import without_locals

USER_AGENT: Final = f"django-opentrain/{__version__}"
BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 8.0
#: requests refuses a timeout of 0.
MIN_TIMEOUT_SECONDS: Final = 0.001
#: A worker waits for a shorter Retry-After; after a longer one the work is rescheduled.
MAX_SLEPT_RETRY_AFTER_SECONDS: Final = 2.0

#: Is passed the HTTP status of each response (0: there was none), and the seconds until its body's last byte.
OnRequest = Callable[[int, float], None]

NO_TOKEN: Final = BearerToken("")
# What an adapter that isn't ours may raise. Not ProxyError: urllib3 2 raises it also when the peer hangs up after
# the request was sent.
_NEVER_SENT = (requests.ConnectTimeout, NewConnectionError, ConnectTimeoutError)


@dataclass(frozen=True)
class Call:
    """One operation with its arguments, ready to be sent."""

    operation: Operation
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)


class Transport:
    """Sends calls to one base URL with one token. Safe to share between threads as far as its session is."""

    def __init__(
        self,
        base_url: str,
        token: BearerToken,
        *,
        timeout: tuple[float, float],
        max_retries: int,
        session: requests.Session,
        sleep: Callable[[float], None],
        on_request: OnRequest | None,
    ) -> None:
        """``timeout``: seconds to connect to one address, and seconds for the whole response."""
        self._root = _checked_base_url(base_url) + API_PATH
        self._token = token
        self._timeout = timeout
        self._max_retries = max(0, max_retries)
        self._session = session
        self._sleep = sleep
        self._on_request = on_request

    def send(self, call: Call) -> Success:
        """The response, after up to ``max_retries`` retries of an idempotent operation.

        Takes ``MAX_CALL_SECONDS`` at most, whatever the other side does.
        """
        if call.operation.authenticated and not self._token.present:
            raise InvalidRequest("There is no token to call OpenTrain with.")
        latest = time.monotonic() + MAX_CALL_SECONDS
        retries = self._max_retries if call.operation.idempotent else 0
        outcome_unknown = False
        retried = 0
        while True:
            outcome = self._timed(call, latest)
            if isinstance(outcome, Success):
                return replace(outcome, outcome_unknown=outcome_unknown)
            error = outcome.error
            if outcome_unknown and _deleted_before(call.operation, error):
                return Success(404, gone=True)
            outcome_unknown = error.outcome_unknown = outcome_unknown or error.outcome_unknown
            pause = _pause(outcome, retried) if retried < retries else None
            if pause is None or time.monotonic() + pause >= latest:
                raise error
            self._sleep(pause)
            retried += 1

    def _timed(self, call: Call, latest: float) -> Success | Failure:
        started = time.monotonic()
        outcome = self._send_once(call, latest)
        if self._on_request is not None:
            self._on_request(outcome.status, time.monotonic() - started)
        return outcome

    @without_locals
    def _send_once(self, call: Call, latest: float) -> Success | Failure:
        attempt = Attempt(seconds=self._timeout[1], latest=latest)
        # Failures are returned, and raised elsewhere: raised here, they would keep requests' exceptions, and with
        # them the request and its token.
        with attempting(attempt):
            try:
                response = self._request(call, max(latest - time.monotonic(), MIN_TIMEOUT_SECONDS))
            except (ValueError, OSError, HTTPError) as exc:  # all of requests' are among these
                return _connection_failure(exc, attempt)
            with response:
                body = read_body(response, attempt.deadline)
                return parse_response(call.operation, response, body, self._token)

    def _request(self, call: Call, left: float) -> requests.Response:
        connect, read = self._timeout
        return self._session.request(
            call.operation.method,
            self._root + call.path,
            params=dict(call.query),
            data=call.body,
            headers=_headers(call),
            auth=self._token if call.operation.authenticated else NO_TOKEN,
            timeout=(min(connect, left), min(read, left)),
            allow_redirects=False,
            stream=True,
        )


def _checked_base_url(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        )
    except ValueError:
        usable = False
    if not usable:
        raise InvalidRequest("OpenTrain's base URL must be an absolute http(s) URL.")
    return base_url.rstrip("/")


def _headers(call: Call) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


def _deleted_before(operation: Operation, error: OpenTrainError) -> bool:
    """Whether a retried DELETE finds that the first one, whose response was lost, did it.

    Only OpenTrain's own 404 proves it: a load balancer without a backend answers 404 as well.
    """
    proven_gone = isinstance(error, NotFound) and error.from_opentrain and error.code == "NOT_FOUND"
    return operation.method == "DELETE" and proven_gone


def _pause(failure: Failure, retried: int) -> float | None:
    """Seconds to wait before the next retry; None: don't retry now."""
    if not failure.transient:
        return None
    asked = failure.error.retry_after
    if asked is not None:
        return asked if asked <= MAX_SLEPT_RETRY_AFTER_SECONDS else None
    ceiling = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2**retried)
    return random.uniform(0, ceiling)  # noqa: S311 - full jitter needs no secrecy


def _connection_failure(exc: Exception, attempt: Attempt) -> Failure:
    causes = list(_causes(exc))
    kind = type(exc).__name__
    if isinstance(exc, ValueError) and not any(isinstance(cause, InvalidHeader) for cause in causes):
        # InvalidURL, UnicodeError and the like. urllib3's InvalidHeader is about the response's headers.
        return Failure(InvalidRequest(f"The request can't be sent ({kind})."), transient=False)
    never_sent = not attempt.connected or any(isinstance(cause, _NEVER_SENT) for cause in causes)
    transient = not isinstance(exc, requests.exceptions.SSLError)
    if not transient:
        message = (
            f"No secure connection to OpenTrain ({kind}): check the certificates and the system's clock."
        )
    elif never_sent:
        message = f"OpenTrain can't be reached ({kind})."
    else:
        message = f"OpenTrain didn't respond ({kind}): the request may have taken effect."
    return Failure(OpenTrainConnectionError(message, outcome_unknown=not never_sent), transient)


def _causes(exc: object) -> Iterator[BaseException]:
    """``exc`` and what requests and urllib3 wrapped in it. Not ``__context__``: it may be the caller's."""
    if isinstance(exc, BaseException):
        yield exc
        for wrapped in (*exc.args, getattr(exc, "reason", None)):
            yield from _causes(wrapped)
