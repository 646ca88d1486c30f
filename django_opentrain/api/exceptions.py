"""The exception handler: every error in OpenTrain's own envelope, ``{error, code, requestId, details}``.

``CODES`` lists the codes. Source of the envelope: OpenTrain's developer documentation, "Errors".
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.signals import got_request_exception
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from django_opentrain.api.authentication import CsrfFailed
from django_opentrain.api.parsers import PayloadTooLarge
from django_opentrain.api.permissions import RefusedByPolicy
from django_opentrain.errors import EXPECTED, ServiceError
from django_opentrain.explanations import Explanation, explain
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.platform.values import camel

logger = logging.getLogger(__name__)

#: Seconds after which to retry, if a throttle doesn't say.
PAUSE_SECONDS: Final = 60
#: A request can have as many invalid fields as its body has bytes.
MAX_DETAILS: Final = 200
MAX_FIELD_NAME: Final = 100
#: The name, in ``details``, of errors of the body as a whole.
WHOLE_BODY: Final = "body"

#: Every code that an error can have, with its HTTP status. The comments are the table of docs/reference/api.md, in
#: Markdown: when it is sent, in one sentence, and what to do, if there is anything.
CODES: Final[Mapping[str, int]] = {
    #: A field is invalid, for this site or for OpenTrain. See `details`; errors of the whole request are at
    #: `body`.
    "BAD_REQUEST": 400,
    #: The pasted token is not this connection's, or not a token. Show `error`: it says what to do.
    "TOKEN_REFUSED": 400,
    #: The user is not logged in. Log in.
    "UNAUTHORIZED": 401,
    #: The user doesn't manage a tenant, or for GET may not view it; or your `check_request` refuses: see
    #: `error`.
    "FORBIDDEN": 403,
    #: The CSRF token is missing or wrong. Send `X-CSRFToken`.
    "CSRF_FAILED": 403,
    #: The customer didn't grant `details.scope`. Connect again, approving it.
    "MISSING_SCOPE": 403,
    #: The install, the app or the employer's feature is not active on OpenTrain. Look there.
    "OPENTRAIN_FORBIDDEN": 403,
    #: The tenant has no such row, or there is no such URL.
    "NOT_FOUND": 404,
    #: OpenTrain didn't find it: a job, an endpoint, a delivery.
    "OPENTRAIN_NOT_FOUND": 404,
    #: The URL doesn't take this method. See `Allow`.
    "METHOD_NOT_ALLOWED": 405,
    #: It exists already, or its state doesn't allow this. Show `error`.
    "CONFLICT": 409,
    #: There is no live connection, or OpenTrain no longer takes its token. Connect again.
    "RECONNECT_REQUIRED": 409,
    #: This site lost the key that encrypted its token. Have the site's administrators restore the key, or
    #: connect again.
    "SECRET_UNREADABLE": 409,
    #: Another change for this customer is under way. Retry after `Retry-After` seconds.
    "BUSY": 409,
    #: An account of this site has the trainer's Work Email, and becomes theirs only with consent. Post to
    #: `grants/{id}/use-account/`, or ask the site's administrators.
    "ACCOUNT_EXISTS": 409,
    #: The mail server refused the first-login mail. It is retried automatically; see `error`.
    "MAIL_REFUSED": 409,
    #: The body has more than 128 kB.
    "PAYLOAD_TOO_LARGE": 413,
    #: The body is not `application/json`.
    "UNSUPPORTED_MEDIA_TYPE": 415,
    #: Rate limited by OpenTrain (or by your own throttle). Retry after `Retry-After` seconds.
    "RATE_LIMITED": 429,
    #: A bug on this site, with a traceback in its log.
    "INTERNAL_ERROR": 500,
    #: OpenTrain gave no answer, or an unusable one. Retry after `Retry-After` seconds.
    "OPENTRAIN_UNAVAILABLE": 503,
    #: The mail server can't be reached. It is retried automatically.
    "MAIL_UNAVAILABLE": 503,
}


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The exception handler of the API's views. None (the exception propagates) only under ``DEBUG``."""
    if isinstance(error, EXPECTED):
        return respond(_of_services(error))
    for kind, explain_framework in _FRAMEWORKS:
        if isinstance(error, kind):
            return respond(explain_framework(error), challenge=getattr(error, "auth_header", ""))
    if settings.DEBUG:
        return None
    # As Django does for an exception that leaves a view: error trackers and test clients listen to this signal.
    got_request_exception.send(sender=type(context["view"]), request=context["request"])
    logger.error("Unexpected error in the API", exc_info=error)
    return respond(_explanation("INTERNAL_ERROR", _("Something went wrong on this site.")))


def respond(explanation: Explanation, challenge: str = "") -> Response:
    """The response to the client."""
    request_id = explanation.request_id or uuid.uuid4().hex
    logger.log(
        logging.ERROR if explanation.http_status == 500 else logging.INFO,
        "API error %s (%d), request %s",
        explanation.code,
        explanation.http_status,
        request_id,
    )
    headers = {}
    if explanation.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(explanation.retry_after)))
    if challenge:
        headers["WWW-Authenticate"] = challenge
    body = {
        "error": explanation.text,
        "code": explanation.code,
        "requestId": request_id,
        "details": dict(explanation.details),
    }
    return Response(body, status=explanation.http_status, headers=headers)


def _of_services(error: OpenTrainError | ServiceError) -> Explanation:
    explanation = explain(error)
    if isinstance(error, ServiceError) and error.field:
        return replace(explanation, details={camel(error.field): [explanation.text]})
    return explanation


# What REST framework and Django raise ---------------------------------------------------------


def _explanation(code: str, text: str, **more: Any) -> Explanation:
    return Explanation(code=code, http_status=CODES[code], text=text, **more)


def _invalid(error: exceptions.ValidationError) -> Explanation:
    details = list(_flatten(error.detail))[:MAX_DETAILS]
    return _explanation("BAD_REQUEST", _("The request is not valid: see details."), details=dict(details))


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Lists of sentences by the path of the field: ``entries[3].workDate``."""
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


def _not_logged_in(error: exceptions.APIException) -> Explanation:
    # A 401 needs a challenge (RFC 9110, section 11.6.1); authenticators that have none answer 403.
    return _explanation(
        "UNAUTHORIZED" if getattr(error, "auth_header", "") else "FORBIDDEN", str(error.detail)
    )


def _throttled(error: exceptions.Throttled) -> Explanation:
    wait = getattr(error, "wait", None) or PAUSE_SECONDS
    return _explanation("RATE_LIMITED", str(error.detail), retry_after=wait)


def _own_text(code: str) -> Callable[[Any], Explanation]:
    """The error's own sentence, with this code."""
    return lambda error: _explanation(code, str(error.detail))


def _fixed(code: str, text: Callable[[], str]) -> Callable[[Any], Explanation]:
    return lambda _error: _explanation(code, text())


#: The first match is taken.
_FRAMEWORKS: Final[
    tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Explanation]], ...]
] = (
    (exceptions.ValidationError, _invalid),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), _not_logged_in),
    (CsrfFailed, _own_text("CSRF_FAILED")),
    (RefusedByPolicy, _own_text("FORBIDDEN")),
    (
        (exceptions.PermissionDenied, DjangoPermissionDenied),
        _fixed("FORBIDDEN", lambda: _("You are not allowed to do this.")),
    ),
    ((exceptions.NotFound, Http404), _fixed("NOT_FOUND", lambda: _("Not found."))),
    (exceptions.Throttled, _throttled),
    (exceptions.MethodNotAllowed, _own_text("METHOD_NOT_ALLOWED")),
    (exceptions.UnsupportedMediaType, _fixed("UNSUPPORTED_MEDIA_TYPE", lambda: _("Send application/json."))),
    (PayloadTooLarge, _own_text("PAYLOAD_TOO_LARGE")),
    (exceptions.ParseError, _own_text("BAD_REQUEST")),
)
