"""The Platform API client of an install: its settings, and what its answers teach us about the install."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.platform.client import PlatformClient, build_session
from django_opentrain.platform.errors import (
    Forbidden,
    MissingScope,
    OpenTrainError,
    RateLimited,
    Unauthorized,
)

if TYPE_CHECKING:
    import requests

    from django_opentrain.models.installs import Install

#: How long an install rests after a 429 that doesn't say how long.
DEFAULT_PAUSE_SECONDS = 60
LONGEST_PAUSE_SECONDS = 3600
#: ``Install.last_error_code`` of a 401.
UNAUTHORIZED = "UNAUTHORIZED"
#: … and of a 403 that names no scope: the install, the app or the feature is inactive.
FORBIDDEN = "FORBIDDEN"


@lru_cache(maxsize=1)
def shared_session() -> requests.Session:
    """The process's connection pool. It holds no credentials and no cookies."""
    return build_session()


class InstallObserver:
    """Keeps calls back that can't succeed, and writes down what an answer says about the install.

    What one worker met (a pause, a dead token) holds for all: the state is read and written in the database.
    """

    def __init__(self, install: Install) -> None:
        self._statuses = type(install).Status
        self._rows = type(install).objects.filter(pk=install.pk)

    def before_call(self) -> None:
        """Raises ``Unauthorized`` or ``RateLimited`` where OpenTrain has already said so."""
        status, paused_until = self._rows.values_list("status", "paused_until").get()
        if status not in (self._statuses.ACTIVE, self._statuses.DISCONNECTED):
            # Disconnected here: until the last usage is reported, the token is still there to do it with.
            raise Unauthorized(
                _("OpenTrain no longer accepts this connection's token: connect again."),
                status=401,
                code=UNAUTHORIZED,
            )
        now = timezone.now()
        if paused_until is not None and paused_until > now:
            raise RateLimited(
                _("OpenTrain limits the calls for this customer."),
                status=429,
                code="RATE_LIMITED",
                retry_after=(paused_until - now).total_seconds(),
            )

    def after_call(self, error: OpenTrainError | None) -> None:
        """Record what this outcome says about the install."""
        if error is None:
            self._rows.exclude(last_error="").update(last_error="", last_error_code="", refused_at=None)
        elif isinstance(error, Unauthorized):
            self._rows.filter(status=self._statuses.ACTIVE).update(
                status=self._statuses.UNAUTHORIZED, **refusal_columns(error)
            )
        elif isinstance(error, Forbidden):
            # Of this call: whether the install is refused is what GET /installs/current tells, which needs no scope.
            self._rows.update(last_error=str(error), last_error_code=_error_code(error))
        elif isinstance(error, RateLimited):
            seconds = DEFAULT_PAUSE_SECONDS if error.retry_after is None else error.retry_after
            until = timezone.now() + timedelta(seconds=min(seconds, LONGEST_PAUSE_SECONDS))
            # Another worker may have been told of a longer one.
            shorter = Q(paused_until=None) | Q(paused_until__lt=until)
            self._rows.filter(shorter).update(paused_until=until)


def refusal_columns(error: Unauthorized | Forbidden) -> dict[str, Any]:
    """What an install keeps of OpenTrain's refusal of all its calls.

    A refusal without OpenTrain's code is a proxy's: it says nothing about the install, so no time runs from it.
    """
    columns: dict[str, Any] = {"last_error": str(error), "last_error_code": _error_code(error)}
    if error.from_opentrain:
        columns["refused_at"] = Coalesce("refused_at", timezone.now())
    return columns


def _error_code(error: Unauthorized | Forbidden) -> str:
    if isinstance(error, MissingScope):
        return f"MISSING_SCOPE:{error.scope}"
    return UNAUTHORIZED if isinstance(error, Unauthorized) else FORBIDDEN


def unobserved_client(token: str) -> PlatformClient:
    """A client for a token that no install is known for yet, or whose install is to be tried again."""
    return _client(token)


def client_for(install: Install) -> PlatformClient:
    """The client that acts for this install. Raises ``UndecryptableError`` when its token's key is lost."""
    return _client(install.token or "", install)


def _client(token: str, install: Install | None = None) -> PlatformClient:
    return PlatformClient(
        conf.base_url,
        token,
        connect_timeout=conf.connect_timeout,
        read_timeout=conf.read_timeout,
        max_retries=conf.max_retries,
        session=shared_session(),
        scopes=None if install is None else install.scopes,
        observer=None if install is None else InstallObserver(install),
    )
