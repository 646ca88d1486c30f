# ruff: noqa: N818 - the names say the condition, as Django's do.
"""What this site raises instead of doing what it was asked for.

What calls to OpenTrain raise is in ``platform.errors``, and can be imported from here as well.

::

                                http_status   code
    ServiceError                    409       CONFLICT
    ├── AdapterError                409       CONFLICT             for adapters to raise
    │   ├── AccountExists           409       ACCOUNT_EXISTS
    │   └── MailError               409       MAIL_REFUSED
    │       └── MailServerError     503       MAIL_UNAVAILABLE
    ├── OperationRefused            409       CONFLICT
    ├── StillNeededError            409       CONFLICT             ``reasons``: what for
    ├── UndecryptableError          409       SECRET_UNREADABLE    its text is for operators
    ├── BusyError                   409       BUSY
    ├── LeaseLostError              409       BUSY
    ├── ConnectError                400       BAD_REQUEST          also a ValueError
    │   ├── StateError              400       BAD_REQUEST
    │   ├── TokenRefused            400       TOKEN_REFUSED
    │   └── ReconnectRequired       409       RECONNECT_REQUIRED
    ├── LinkError                   400       BAD_REQUEST          also a ValueError
    │   └── LinkConflict            409       CONFLICT
    ├── UnknownEndpoint             404       NOT_FOUND
    └── BadSignature                400       BAD_REQUEST

All have ``code``, ``http_status``, ``retry_after`` and ``public``, as ``platform.errors`` has them, and ``field``.
All pickle and copy (Celery sends exceptions between processes). The text is a sentence for people, without tokens,
secrets or e-mail addresses. Pages, API, admin, commands and workers expect these two families and no other
exception; ``explanations`` has the words and the API's codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from django_opentrain.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidRequest,
    MissingScope,
    NotFound,
    OpenTrainAPIError,
    OpenTrainConnectionError,
    OpenTrainError,
    RateLimited,
    ServerError,
    Unauthorized,
    UnusableResponse,
)

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

__all__ = [
    "AccountExists",
    "AdapterError",
    "BadRequest",
    "BadSignature",
    "BusyError",
    "Conflict",
    "ConnectError",
    "Forbidden",
    "InvalidRequest",
    "LeaseLostError",
    "LinkConflict",
    "LinkError",
    "MissingScope",
    "NotFound",
    "OpenTrainAPIError",
    "OpenTrainConnectionError",
    "OpenTrainError",
    "OperationRefused",
    "RateLimited",
    "ReconnectRequired",
    "ServerError",
    "ServiceError",
    "StateError",
    "StillNeededError",
    "TokenRefused",
    "Unauthorized",
    "UndecryptableError",
    "UnknownEndpoint",
    "UnusableResponse",
]


class ServiceError(Exception):
    """What was asked for can't be done here; the message says why.

    :param field: the argument that is wrong, where it is one.
    """

    #: Machine-readable and stable. Never empty.
    code: str = "CONFLICT"
    #: The HTTP status of a page or an API that failed because of it.
    http_status: int = 409
    #: Seconds after which another try makes sense; None where waiting doesn't help.
    retry_after: float | None = None
    #: Whether customers may read the text.
    public: bool = True
    #: The name of the argument that is wrong; "" where it is none.
    field: str = ""
    #: The text of an error that is raised without one.
    message: _StrOrPromise = ""

    def __init__(self, *args: object, field: str = "") -> None:
        super().__init__(*(args or [str(self.message)]))
        if field:
            self.field = field


#: What can be expected of any call: it says what is wrong. Any other exception is a fault of the host's or of ours.
EXPECTED: Final = (OpenTrainError, ServiceError)


class AdapterError(ServiceError):
    """The host can't do what was asked, for a reason that a person has to resolve.

    Its message is shown to customers and operators: it must hold no Work Email and no secret.
    """


class AccountExists(AdapterError):
    """An account of this site has the trainer's Work Email, and becomes theirs only if a person consents."""

    code = "ACCOUNT_EXISTS"


class MailError(AdapterError):
    """A mail was not sent. Its text names no address: what a mail server answers does."""

    code = "MAIL_REFUSED"
    message = _("The mail could not be sent.")


class MailServerError(MailError):
    """No mail can be sent at the moment: the mail server can't be reached, doesn't answer, or lets us not log in."""

    code = "MAIL_UNAVAILABLE"
    http_status = 503
    retry_after = 60
    message = _("The mail server can't be reached.")


class OperationRefused(ServiceError):
    """The row isn't in a state for this."""


class StillNeededError(ServiceError):
    """Something is still to be done with this trainer's data. Each argument is one reason, in words."""

    @property
    def reasons(self) -> list[str]:
        """What is still to be done."""
        return [str(reason) for reason in self.args]

    def __str__(self) -> str:
        return ", ".join(self.reasons)


class UndecryptableError(ServiceError):
    """A stored secret can't be decrypted with any of the configured keys, or was encrypted for another row."""

    code = "SECRET_UNREADABLE"
    public = False
    message = _(
        "A stored secret can't be decrypted: the key that encrypted it is missing from"
        " OPENTRAIN['ENCRYPTION_KEYS'], or it is another row's. Put the old key back at the end of that list,"
        " or reconnect."
    )


class BusyError(ServiceError):
    """Another worker or request holds this install."""

    code = "BUSY"
    retry_after = 5
    message = _("Another change for this customer is under way. Try again in a moment.")


class LeaseLostError(ServiceError):
    """Another worker took the lease over, because this one was too slow."""

    code = "BUSY"
    retry_after = 5
    message = _("Another worker took over, because this took too long. Try again in a moment.")


class ConnectError(ServiceError, ValueError):
    """What was asked for can't be connected; the message says what to do."""

    code = "BAD_REQUEST"
    http_status = 400


class StateError(ConnectError):
    """A return from the consent screen that doesn't belong to a request of this user's."""

    field = "state"


class TokenRefused(ConnectError):
    """The pasted text is not a token that can be used here; the message says what to do."""

    code = "TOKEN_REFUSED"
    field = "token"


class ReconnectRequired(ConnectError):
    """There is no connection with which this could be done."""

    code = "RECONNECT_REQUIRED"
    http_status = 409
    message = _("This connection has ended: connect again.")


class LinkError(ServiceError, ValueError):
    """The project can't be linked so; the message says what to do."""

    code = "BAD_REQUEST"
    http_status = 400
    field = "external_project_id"


class LinkConflict(LinkError):
    """The project is linked already; the message says to which job."""

    code = "CONFLICT"
    http_status = 409
    field = ""


class UnknownEndpoint(ServiceError):
    """No webhook endpoint has this key."""

    code = "NOT_FOUND"
    http_status = 404
    message = _("Unknown webhook endpoint.")


class BadSignature(ServiceError):
    """The body was not signed with this endpoint's secret, or too long ago."""

    code = "BAD_REQUEST"
    http_status = 400
    message = _("The signature is not valid.")
