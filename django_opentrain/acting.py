"""Who acts: the user of the request that is being answered, for code that a request calls without saying so.

Signals of models, for example, don't say who saves or deletes a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from django.http import HttpRequest

_request: Final[ContextVar[HttpRequest | None]] = ContextVar("opentrain_request", default=None)


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    """While this request is being answered: ``django_opentrain.middleware.acting_user``."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def acting_user() -> Any:
    """The signed-in user of the request that is being answered; None outside of requests, and for visitors.

    Read when it is asked for: REST framework finds the user of an API token in the view, and sets it then.
    """
    request = _request.get()
    user = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None
