"""How each error is shown: to customers on pages and in the API, and in what is stored with a row.

``explain`` has the words, the API's code and the HTTP status of an error. What is stored is a code and a text: an
exception of neither of our families comes from inside the host (a database, a file system, an adapter), so that its
text is for operators only, and its code ``INTERNAL_ERROR`` says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from django_opentrain.errors import (
    EXPECTED,
    BusyError,
    LeaseLostError,
    ReconnectRequired,
    ServiceError,
    UndecryptableError,
)
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
from django_opentrain.platform.redaction import describe, redact

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: The code of a stored reason that is for operators only.
INTERNAL_ERROR: Final = "INTERNAL_ERROR"
#: The code of a stored sentence of our own.
NOTE: Final = "NOTE"
#: The install, the app or the feature is inactive on OpenTrain.
OPENTRAIN_FORBIDDEN: Final = "OPENTRAIN_FORBIDDEN"
#: The longest code that a row keeps.
MAX_CODE: Final = 64


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One error, as it is shown to a customer or their front end."""

    #: The API's.
    code: str
    http_status: int
    #: What happened, in a sentence.
    text: str
    title: str = ""
    #: What to do.
    advice: str = ""
    #: Whether connecting again is what helps.
    reconnect: bool = False
    #: Seconds after which another try makes sense; None where waiting doesn't help.
    retry_after: float | None = None
    #: OpenTrain's, where it was OpenTrain that refused.
    request_id: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class _Words(NamedTuple):
    """What is said of a kind of errors."""

    title: _StrOrPromise
    #: The API's code; "" where it is the error's own.
    code: str = ""
    #: Instead of the error's own text, which isn't for customers.
    text: _StrOrPromise = ""
    advice: _StrOrPromise = ""
    reconnect: bool = False
    #: Seconds after which another try makes sense, where OpenTrain doesn't say.
    pause: float | None = None


_Kinds = type[Exception] | tuple[type[Exception], ...]

_ASK: Final = _("Ask this site's administrators for details.")
_LOST_KEY: Final = _("The key with which it was encrypted is missing, or it is another row's.")

#: The first that fits is taken: particular ones come first.
_TABLE: Final[tuple[tuple[_Kinds, _Words], ...]] = (
    (
        Unauthorized,
        _Words(
            code="RECONNECT_REQUIRED",
            title=_("OpenTrain no longer accepts this connection"),
            advice=_("Connect again: your projects and trainers are taken over."),
            reconnect=True,
        ),
    ),
    (
        MissingScope,
        _Words(
            code="MISSING_SCOPE",
            title=_("A permission is missing"),
            advice=_("Connect again and approve every permission on OpenTrain."),
            reconnect=True,
        ),
    ),
    (
        Forbidden,
        _Words(
            code=OPENTRAIN_FORBIDDEN,
            title=_("OpenTrain is refusing this"),
            advice=_(
                "The connection, this site's app or your OpenTrain account's feature is not active. Look at your"
                " OpenTrain settings, or ask OpenTrain's support."
            ),
        ),
    ),
    (NotFound, _Words(code="OPENTRAIN_NOT_FOUND", title=_("Not found on OpenTrain"))),
    (BadRequest, _Words(code="BAD_REQUEST", title=_("OpenTrain refused this"))),
    (Conflict, _Words(code="CONFLICT", title=_("OpenTrain refused this"))),
    (InvalidRequest, _Words(code="BAD_REQUEST", title=_("That can't be sent to OpenTrain"))),
    (
        RateLimited,
        _Words(
            code="RATE_LIMITED",
            title=_("Rate limited by OpenTrain"),
            advice=ngettext_lazy("Try again in a minute.", "Try again in %(minutes)d minutes.", "minutes"),
            pause=60,
        ),
    ),
    # No answer, a 5xx, or an answer that makes no sense: it may be another one later.
    (
        OpenTrainError,
        _Words(
            code="OPENTRAIN_UNAVAILABLE",
            title=_("OpenTrain can't be reached"),
            advice=_("Nothing is lost. Try again in a minute."),
            pause=30,
        ),
    ),
    (
        UndecryptableError,
        _Words(
            title=_("This site can't read the connection's token"),
            text=_LOST_KEY,
            advice=_("Ask this site's administrators to restore the key, or connect again."),
            reconnect=True,
        ),
    ),
    ((BusyError, LeaseLostError), _Words(title=_("One moment"))),
    (ReconnectRequired, _Words(title=_("Not connected"), reconnect=True)),
    (ServiceError, _Words(title=_("That can't be done"))),
)


def explain(error: OpenTrainError | ServiceError) -> Explanation:
    """What a customer sees of one of the ``EXPECTED`` errors."""
    kind = OpenTrainError if _by_a_proxy(error) else type(error)
    words = next(words for kinds, words in _TABLE if issubclass(kind, kinds))
    wait = words.pause if error.retry_after is None else error.retry_after
    return Explanation(
        code=words.code or error.code[:MAX_CODE],
        http_status=kind.http_status,
        text=str(error) if error.public else str(words.text or _ASK),
        title=str(words.title),
        advice=words.advice % {"minutes": math.ceil((wait or 0) / 60)},
        reconnect=words.reconnect,
        retry_after=wait,
        request_id=getattr(error, "request_id", ""),
        details=_details(error),
    )


def _by_a_proxy(error: OpenTrainError | ServiceError) -> bool:
    """Whether something between this site and OpenTrain answered: what OpenTrain would say is not known then."""
    answered = isinstance(error, OpenTrainAPIError) and error.status and not error.from_opentrain
    return bool(answered) and not isinstance(error, RateLimited)


def _details(error: OpenTrainError | ServiceError) -> Mapping[str, Any]:
    if isinstance(error, MissingScope):
        return {"scope": error.scope}
    return error.details if isinstance(error, (BadRequest, Conflict)) else {}


# What rows keep -------------------------------------------------------------------------------


class Reason(NamedTuple):
    """Why something failed or was ignored, as a row keeps it: in a column for the text and one for the code."""

    text: str = ""
    code: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Reason:
        """The reason that an error is. What is not for customers has its class's name in front, for operators."""
        if not isinstance(error, EXPECTED):
            return cls(describe(error), INTERNAL_ERROR)
        explanation = explain(error)
        if error.public:
            return cls(redact(str(error)), explanation.code)
        return cls(
            describe(error), explanation.code if explanation.code in _SHOWN_INSTEAD else INTERNAL_ERROR
        )

    @classmethod
    def note(cls, sentence: str) -> Reason:
        """A sentence of our own; "" is no reason."""
        return cls(sentence, NOTE if sentence else "")

    def columns(self, name: str) -> dict[str, str]:
        """The columns ``name`` and ``name_code``, for an UPDATE."""
        return {name: self.text, f"{name}_code": self.code}

    def put(self, row: object, name: str) -> None:
        """Set these columns of a row that is saved later."""
        for column, value in self.columns(name).items():
            setattr(row, column, value)


#: Nothing failed.
NO_REASON: Final = Reason()

#: What customers read instead of a stored text, by its code. The origin of one without a code is unknown.
_SHOWN_INSTEAD: Final[Mapping[str, _StrOrPromise]] = {
    "": _ASK,
    INTERNAL_ERROR: _ASK,
    UndecryptableError.code: _LOST_KEY,
}


def reason_for_customers(row: object, name: str) -> str:
    """Why something failed, from the columns ``name`` and ``name_code`` of a row; "" if nothing failed."""
    text: str = getattr(row, name)
    return str(_SHOWN_INSTEAD.get(getattr(row, f"{name}_code"), text)) if text else ""
