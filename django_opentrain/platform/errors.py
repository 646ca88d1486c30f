# ruff: noqa: N818 - the names are HTTP's and OpenTrain's own, and say the condition as Django's do.
"""What can go wrong when talking to OpenTrain.

::

    OpenTrainError
    ├── InvalidRequest (also a ValueError)   refused here, before anything was sent
    ├── OpenTrainConnectionError             no answer
    └── OpenTrainAPIError                    an answer: status, code, request_id, details
        ├── BadRequest          400
        ├── Unauthorized        401          token missing, invalid or revoked
        ├── Forbidden           403          scope missing, or install, app or feature inactive
        │   └── MissingScope                 … and the scope is known
        ├── NotFound            404
        ├── Conflict            409
        ├── RateLimited         429          retry_after
        ├── ServerError         5xx
        └── UnusableResponse    2xx          whose body says nothing that can be understood

Each has ``outcome_unknown``: whether the request may have taken effect although there is no proof of it.
Each pickles and copies (Celery sends exceptions between processes), and the text of each is a sentence for
people that holds no response body, token, secret or e-mail address.

Source of the statuses and codes: OpenTrain's developer documentation, "Errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OpenTrainError(Exception):
    """Anything that kept a call to OpenTrain from succeeding."""

    #: The request may have taken effect: look before doing it again.
    outcome_unknown: bool = False


class InvalidRequest(OpenTrainError, ValueError):
    """An argument breaks one of OpenTrain's documented limits; nothing was sent."""


class OpenTrainConnectionError(OpenTrainError):
    """No answer came: unreachable, timed out, or the connection was lost.

    :param outcome_unknown: False when the connection was never made, so that nothing can have happened.
    """

    def __init__(self, message: str = "", *, outcome_unknown: bool = True) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class OpenTrainAPIError(OpenTrainError):
    """OpenTrain, or a proxy in between, answered that it didn't work.

    :param message: a sentence; the request id is added to it.
    :param status: HTTP status; 0 when no request was made.
    :param code: OpenTrain's machine-readable code (``catalog.ERROR_STATUSES``); "" when it sent none, as
        when the answer came from a proxy.
    :param request_id: what OpenTrain's support asks for; "" when it sent none.
    :param details: OpenTrain's details, e.g. which usage entry it refused; empty when it sent none.
    :param retry_after: seconds to wait before trying again; None when it didn't say.
    """

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
        self.code = code
        self.request_id = request_id
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after = retry_after

    @property
    def from_opentrain(self) -> bool:
        """Whether OpenTrain itself said so. A proxy's answer has no code, and says nothing about what is there."""
        return bool(self.code)

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} (request {self.request_id})" if self.request_id else message


class BadRequest(OpenTrainAPIError):
    """400: the request breaks a rule of OpenTrain's; sending it again can't help."""


class Unauthorized(OpenTrainAPIError):
    """401: the token is missing, invalid or revoked; the customer must reconnect."""


class Forbidden(OpenTrainAPIError):
    """403: a scope is missing, or the install, the app or the employer's feature is inactive."""


class MissingScope(Forbidden):
    """The install lacks ``scope``: refused before the call, or by OpenTrain where it names the scope."""

    def __init__(self, message: str = "", *, scope: str = "", **answer: Any) -> None:
        super().__init__(message, **answer)
        self.scope = scope


class NotFound(OpenTrainAPIError):
    """404: it doesn't exist, or not for this install."""


class Conflict(OpenTrainAPIError):
    """409: a duplicate, a limit that is reached, or a contract that has no trainer yet."""


class RateLimited(OpenTrainAPIError):
    """429: too many calls; ``retry_after`` says how long to rest (None: unsaid)."""


class ServerError(OpenTrainAPIError):
    """5xx: OpenTrain, or a proxy in between, failed."""

    outcome_unknown = True


class UnusableResponse(OpenTrainAPIError):
    """A 2xx whose body is cut short, not JSON, or lacks what the operation is for."""

    outcome_unknown = True


#: What each status of an answer is raised as; 5xx is ServerError, all else OpenTrainAPIError itself.
BY_STATUS: Mapping[int, type[OpenTrainAPIError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
