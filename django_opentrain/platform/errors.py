# ruff: noqa: N818 - the names are HTTP's and OpenTrain's own, and say the condition as Django's do.
"""What can go wrong when calling OpenTrain.

::

                                      http_status   code (where OpenTrain sent none)
    OpenTrainError                        503       OPENTRAIN_ERROR
    ├── InvalidRequest                    400       INVALID_REQUEST     also a ValueError; nothing was sent
    ├── OpenTrainConnectionError          503       CONNECTION_ERROR    no response
    └── OpenTrainAPIError                 503       UNEXPECTED_STATUS   any other response, such as a redirect
        ├── BadRequest          400       400       BAD_REQUEST
        ├── Unauthorized        401       409       UNAUTHORIZED        token missing, invalid or revoked
        ├── Forbidden           403       403       FORBIDDEN           install, app or feature inactive
        │   └── MissingScope              403       FORBIDDEN           the install lacks ``scope``
        ├── NotFound            404       404       NOT_FOUND
        ├── Conflict            409       409       CONFLICT
        ├── RateLimited         429       429       RATE_LIMITED
        ├── ServerError         5xx       503       INTERNAL_ERROR
        └── UnusableResponse    2xx       503       UNUSABLE_RESPONSE   a body that can't be understood

All carry ``code``, ``http_status``, ``retry_after``, ``public`` and ``outcome_unknown``; those for a response
also ``status``, ``request_id``, ``details`` and ``from_opentrain``. ``status`` is what OpenTrain answered,
``http_status`` what a site answers its own client with: a token that OpenTrain refuses isn't a failed login here.

All pickle and copy (Celery sends exceptions between processes). The text is a sentence for people, without
response bodies, tokens, secrets or e-mail addresses.

Source of the statuses and codes: OpenTrain's developer documentation, "Errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OpenTrainError(Exception):
    """A call to OpenTrain failed."""

    #: Machine-readable and stable. Never empty.
    code: str = "OPENTRAIN_ERROR"
    #: The HTTP status of a page or an API of this site that failed because of it.
    http_status: int = 503
    #: Seconds that OpenTrain asked to wait before the next call; None when it didn't say.
    retry_after: float | None = None
    #: Whether customers may read the text.
    public: bool = True
    #: The request may have taken effect: look before sending it again.
    outcome_unknown: bool = False
    #: OpenTrain asked for a pause (a 429, or a 503 with ``Retry-After``): no failure, and true for other calls, too.
    asks_for_pause: bool = False


class InvalidRequest(OpenTrainError, ValueError):
    """An argument breaks one of OpenTrain's documented limits; nothing was sent."""

    code = "INVALID_REQUEST"
    http_status = 400


class OpenTrainConnectionError(OpenTrainError):
    """No response came: unreachable, timed out, or the connection was lost.

    :param outcome_unknown: False when the connection was never made, so that nothing can have happened.
    """

    code = "CONNECTION_ERROR"

    def __init__(self, message: str = "", *, outcome_unknown: bool = True) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class OpenTrainAPIError(OpenTrainError):
    """OpenTrain, or a proxy in between, answered with something other than success.

    :param message: a sentence; the request id is added to it.
    :param status: HTTP status of the response; 0 when no request was made.
    :param code: OpenTrain's code (``catalog.ERROR_STATUSES``); the class's own stands in when it sent none, as
        when the response came from a proxy.
    :param request_id: what OpenTrain's support asks for; "" when it sent none.
    :param details: OpenTrain's details, e.g. which usage entry it refused; empty when it sent none.
    :param retry_after: seconds to wait before the next call; None when it didn't say.
    """

    code = "UNEXPECTED_STATUS"
    #: Whether OpenTrain itself answered. A proxy's response has no code, and proves nothing about what exists.
    from_opentrain: bool

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.from_opentrain = bool(code)
        self.code = code or type(self).code
        self.request_id = request_id
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after = retry_after

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} (request {self.request_id})" if self.request_id else message


class BadRequest(OpenTrainAPIError):
    """400: the request breaks a rule of OpenTrain's; sending it again can't help."""

    code = "BAD_REQUEST"
    http_status = 400


class Unauthorized(OpenTrainAPIError):
    """401: the token is missing, invalid or revoked; the customer must reconnect."""

    code = "UNAUTHORIZED"
    http_status = 409


class Forbidden(OpenTrainAPIError):
    """403: a scope is missing, or the install, the app or the employer's feature is inactive."""

    code = "FORBIDDEN"
    http_status = 403


class MissingScope(Forbidden):
    """The install lacks ``scope``: refused before the call, or by OpenTrain where it names the scope."""

    def __init__(self, message: str = "", *, scope: str = "", **attributes: Any) -> None:
        super().__init__(message, **attributes)
        self.scope = scope


class NotFound(OpenTrainAPIError):
    """404: it doesn't exist, or not for this install."""

    code = "NOT_FOUND"
    http_status = 404


class Conflict(OpenTrainAPIError):
    """409: a duplicate, a limit that is reached, or a contract that has no trainer yet."""

    code = "CONFLICT"
    http_status = 409


class RateLimited(OpenTrainAPIError):
    """429: too many calls; ``retry_after`` says how long to pause."""

    code = "RATE_LIMITED"
    http_status = 429
    asks_for_pause = True


class ServerError(OpenTrainAPIError):
    """5xx: OpenTrain, or a proxy in between, failed."""

    code = "INTERNAL_ERROR"
    outcome_unknown = True

    @property
    def asks_for_pause(self) -> bool:  # type: ignore[override] # read-only
        """Whether it is a 503 that says when to come back."""
        return self.status == 503 and self.retry_after is not None


class UnusableResponse(OpenTrainAPIError):
    """A 2xx whose body is cut short, not JSON, or lacks what the operation is for."""

    code = "UNUSABLE_RESPONSE"
    outcome_unknown = True


#: What each status of a response is raised as; 5xx is ServerError, all else OpenTrainAPIError itself.
BY_STATUS: Mapping[int, type[OpenTrainAPIError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
