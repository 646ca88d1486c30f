"""What went wrong, in words for the customer: what happened, and what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_opentrain.adapters import AdapterError
from django_opentrain.crypto import UndecryptableError
from django_opentrain.platform.errors import (
    Forbidden,
    InvalidRequest,
    MissingScope,
    OpenTrainConnectionError,
    OpenTrainError,
    RateLimited,
    ServerError,
    Unauthorized,
    UnusableResponse,
)
from django_opentrain.services.connect import ConnectError
from django_opentrain.services.linking import LinkError
from django_opentrain.services.workers.locks import BusyError

#: What the services raise for reasons that a person can do something about.
EXPECTED = (OpenTrainError, UndecryptableError, AdapterError, BusyError, ConnectError, LinkError)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that went wrong."""

    title: str
    text: str
    advice: str = ""
    status: int = 409
    reconnect: bool = False


def explain(error: Exception) -> Problem:
    """The words for one of the ``EXPECTED`` errors."""
    text = str(error)
    if isinstance(error, UndecryptableError):
        return Problem(
            title=_("This site can't read the connection's token"),
            text=_("The key with which it was encrypted is missing. Nothing has been changed."),
            advice=_("Ask the operators of this site to restore the key, or connect again."),
            status=503,
            reconnect=True,
        )
    if isinstance(error, OpenTrainError):
        return _explain_opentrain(error, text)
    if isinstance(error, BusyError):
        return Problem(title=_("One moment"), text=text, status=409)
    return Problem(title=_("That can't be done"), text=text, status=409)


def _explain_opentrain(error: OpenTrainError, text: str) -> Problem:
    if isinstance(error, Unauthorized):
        return Problem(
            title=_("OpenTrain no longer accepts this connection"),
            text=text,
            advice=_("Connect again: your projects and trainers are taken over."),
            reconnect=True,
        )
    if isinstance(error, MissingScope):
        return Problem(
            title=_("A permission is missing"),
            text=text,
            advice=_("Connect again and approve every permission on OpenTrain."),
            status=403,
            reconnect=True,
        )
    if isinstance(error, Forbidden):
        return Problem(
            title=_("OpenTrain refuses this for now"),
            text=text,
            advice=_(
                "The connection, this site's app or your OpenTrain account's feature is not active. Look at your"
                " OpenTrain settings, or ask OpenTrain's support."
            ),
            status=403,
        )
    if isinstance(error, RateLimited):
        return Problem(
            title=_("OpenTrain asks for a pause"), text=text, advice=_pause_advice(error), status=503
        )
    if isinstance(error, (OpenTrainConnectionError, ServerError, UnusableResponse)):
        return Problem(
            title=_("OpenTrain can't be reached"),
            text=text,
            advice=_("Nothing is lost. Try again in a minute."),
            status=503,
        )
    if isinstance(error, InvalidRequest):
        return Problem(title=_("That can't be sent to OpenTrain"), text=text, status=400)
    return Problem(title=_("OpenTrain refused this"), text=text)


def _pause_advice(error: RateLimited) -> str:
    minutes = math.ceil((error.retry_after or 60) / 60)
    return ngettext("Try again in a minute.", "Try again in %(minutes)d minutes.", minutes) % {
        "minutes": minutes
    }


def problem_page(request: HttpRequest, problem: Problem, back: str | None = None) -> HttpResponse:
    """A page of its own for a problem, with the way back."""
    context = {"problem": problem, "back": back or reverse("opentrain:home")}
    return render(request, "opentrain/problem.html", context, status=problem.status)
