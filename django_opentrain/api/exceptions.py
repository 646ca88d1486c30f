"""Everything that goes wrong, in OpenTrain's own envelope: ``{error, code, requestId, details}``.

``CODES`` is the vocabulary. Source of the envelope: OpenTrain's developer documentation, "Errors".
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.signals import got_request_exception
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from django_opentrain.adapters import AdapterError
from django_opentrain.api.authentication import CsrfFailed
from django_opentrain.api.codec import PayloadTooLarge
from django_opentrain.crypto import UndecryptableError
from django_opentrain.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidRequest,
    MissingScope,
    NotFound,
    OpenTrainAPIError,
    OpenTrainError,
    RateLimited,
    Unauthorized,
)
from django_opentrain.services.connect import ConnectError, TokenRefused
from django_opentrain.services.linking import LinkConflict, LinkError
from django_opentrain.services.workers.locks import BusyError

logger = logging.getLogger(__name__)

#: Seconds after which another try makes sense, where nothing says it better.
PAUSE_SECONDS: Final = 60
AWAY_SECONDS: Final = 30
BUSY_SECONDS: Final = 5
#: A request can have as many wrong fields as its body has bytes.
MAX_DETAILS: Final = 200
MAX_FIELD_NAME: Final = 100
#: The name, in ``details``, of what is wrong with the body as a whole.
WHOLE_BODY: Final = "body"

#: Every code that an error can have, with its HTTP status.
CODES: Final[Mapping[str, int]] = {
    "BAD_REQUEST": 400,
    "TOKEN_REFUSED": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "CSRF_FAILED": 403,
    "MISSING_SCOPE": 403,
    "OPENTRAIN_FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "OPENTRAIN_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "RECONNECT_REQUIRED": 409,
    "SECRET_UNREADABLE": 409,
    "BUSY": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "OPENTRAIN_UNAVAILABLE": 503,
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One error, as a client reads it."""

    #: One of ``CODES``.
    code: str
    #: A sentence for people.
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    #: OpenTrain's, where it was OpenTrain that refused.
    request_id: str = ""
    #: Seconds.
    retry_after: float | None = None
    challenge: str = ""

    def response(self) -> Response:
        """The answer to the client."""
        request_id = self.request_id or uuid.uuid4().hex
        body = {"error": self.text, "code": self.code, "requestId": request_id, "details": dict(self.details)}
        status = CODES[self.code]
        logger.log(
            logging.ERROR if status == 500 else logging.INFO,
            "API error %s (%d), request %s",
            self.code,
            status,
            request_id,
        )
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.challenge:
            headers["WWW-Authenticate"] = self.challenge
        return Response(body, status=status, headers=headers)


class ApiError(Exception):
    """A view can't do what it was asked."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The exception handler of the API's views. None (the exception goes on) only under ``DEBUG``."""
    problem = explain(error)
    if problem is not None:
        return problem.response()
    if settings.DEBUG:
        return None
    # What Django does for an exception that leaves a view: error trackers and test clients listen to it.
    got_request_exception.send(sender=type(context["view"]), request=context["request"])
    logger.error("Unexpected error in the API", exc_info=error)
    return Problem(code="INTERNAL_ERROR", text=_("Something went wrong on this site.")).response()


def explain(error: Exception) -> Problem | None:
    """What is to be said of this exception; None when it isn't one that is expected."""
    if isinstance(error, ApiError):
        return error.problem
    for kind, put in _EXPLANATIONS:
        if isinstance(error, kind):
            return put(error)
    return None


# What the services raise ----------------------------------------------------------------------


def _said(code: str) -> Callable[[Any], Problem]:
    """The error's own sentence under this code."""
    return lambda error: Problem(code=code, text=str(error))


def _by_opentrain(code: str, pause: float | None = None) -> Callable[[Any], Problem]:
    """OpenTrain's answer, or our client's words for there being none."""

    def put(error: OpenTrainError) -> Problem:
        asked = getattr(error, "retry_after", None)
        refused = isinstance(error, (BadRequest, Conflict))
        return Problem(
            code=code,
            text=str(error),
            details=error.details if refused and isinstance(error, OpenTrainAPIError) else {},
            request_id=getattr(error, "request_id", ""),
            retry_after=None if pause is None else asked or pause,
        )

    return put


def _missing_scope(error: MissingScope) -> Problem:
    return Problem(
        code="MISSING_SCOPE", text=str(error), request_id=error.request_id, details={"scope": error.scope}
    )


def _at(name: str, code: str) -> Callable[[Any], Problem]:
    """What is wrong with one field, found by a service."""
    return lambda error: Problem(code=code, text=str(error), details={name: [str(error)]})


# What REST framework and Django raise ---------------------------------------------------------


def _invalid(error: exceptions.ValidationError) -> Problem:
    found = list(_flatten(error.detail))[:MAX_DETAILS]
    return Problem(code="BAD_REQUEST", text=_("The request is not valid: see details."), details=dict(found))


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Lists of sentences by the path of what they are about: ``entries[3].workDate``."""
    if isinstance(detail, Mapping):
        for name, below in detail.items():
            if name == api_settings.NON_FIELD_ERRORS_KEY:
                yield from _flatten(below, path)
            else:
                yield from _flatten(below, path + _step(name, inside=bool(path)))
    else:
        sentences = detail if isinstance(detail, (list, tuple)) else [detail]
        yield path or WHOLE_BODY, [str(sentence) for sentence in sentences]


def _step(name: object, *, inside: bool) -> str:
    if isinstance(name, int):
        return f"[{name}]"
    return f"{'.' if inside else ''}{str(name)[:MAX_FIELD_NAME]}"


def _not_logged_in(error: exceptions.APIException) -> Problem:
    challenge = getattr(error, "auth_header", "")
    # A 401 needs a challenge (RFC 9110, section 11.6.1); authenticators that have none answer 403.
    return Problem(
        code="UNAUTHORIZED" if challenge else "FORBIDDEN", text=str(error.detail), challenge=challenge
    )


def _throttled(error: exceptions.Throttled) -> Problem:
    return Problem(
        code="RATE_LIMITED", text=str(error.detail), retry_after=getattr(error, "wait", None) or PAUSE_SECONDS
    )


def _fixed(code: str, text: Callable[[], str]) -> Callable[[Any], Problem]:
    return lambda _error: Problem(code=code, text=text())


_Explanation = tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Problem]]

#: The first that fits is taken: particular ones come first.
_EXPLANATIONS: Final[tuple[_Explanation, ...]] = (
    (Unauthorized, _by_opentrain("RECONNECT_REQUIRED")),
    (MissingScope, _missing_scope),
    (Forbidden, _by_opentrain("OPENTRAIN_FORBIDDEN")),
    (NotFound, _by_opentrain("OPENTRAIN_NOT_FOUND")),
    ((BadRequest, InvalidRequest), _by_opentrain("BAD_REQUEST")),
    (Conflict, _by_opentrain("CONFLICT")),
    (RateLimited, _by_opentrain("RATE_LIMITED", PAUSE_SECONDS)),
    # No answer, a 5xx, or an answer that makes no sense: it may be another one later.
    (OpenTrainError, _by_opentrain("OPENTRAIN_UNAVAILABLE", AWAY_SECONDS)),
    (UndecryptableError, _said("SECRET_UNREADABLE")),
    (BusyError, lambda error: Problem(code="BUSY", text=str(error), retry_after=BUSY_SECONDS)),
    (TokenRefused, _at("token", "TOKEN_REFUSED")),
    (ConnectError, _said("RECONNECT_REQUIRED")),
    (LinkConflict, _said("CONFLICT")),
    (LinkError, _at("externalProjectId", "BAD_REQUEST")),
    (AdapterError, _said("CONFLICT")),
    (exceptions.ValidationError, _invalid),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), _not_logged_in),
    (CsrfFailed, lambda error: Problem(code="CSRF_FAILED", text=str(error.detail))),
    (
        (exceptions.PermissionDenied, DjangoPermissionDenied),
        _fixed("FORBIDDEN", lambda: _("You may not do this.")),
    ),
    ((exceptions.NotFound, Http404), _fixed("NOT_FOUND", lambda: _("There is no such thing here."))),
    (exceptions.Throttled, _throttled),
    (exceptions.MethodNotAllowed, lambda error: Problem(code="METHOD_NOT_ALLOWED", text=str(error.detail))),
    (
        exceptions.UnsupportedMediaType,
        _fixed("UNSUPPORTED_MEDIA_TYPE", lambda: _("Send application/json.")),
    ),
    (PayloadTooLarge, lambda error: Problem(code="PAYLOAD_TOO_LARGE", text=str(error.detail))),
    (exceptions.ParseError, lambda error: Problem(code="BAD_REQUEST", text=str(error.detail))),
)
