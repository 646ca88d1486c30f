"""The timer's two requests: what it needs to begin, and the time that it has measured.

For the script ``timer.js``, in the session of the host. Bounded and strict: what a page's script sends, anyone can.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.middleware.csrf import get_token
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_opentrain import languages
from django_opentrain.adapters import get_adapter
from django_opentrain.adapters.tenants import refusal_of
from django_opentrain.conf import conf
from django_opentrain.fields import MAX_ID
from django_opentrain.services.work.activity import (
    LATEST,
    Interval,
    TicketRefused,
    open_timer,
    record_activity,
)
from django_opentrain.view_decorators import keep_csrf_checks, never_atomic, open_to_anonymous
from django_opentrain.web.views.assets import asset_url

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

MAX_BYTES: Final = 65_536
MAX_INTERVALS: Final = 60
#: Seconds: the script sends none of more than a minute.
MAX_SECONDS: Final = 300.0
_KEY: Final = re.compile(r"[A-Za-z0-9-]{8,64}")


class _Refused(Exception):  # noqa: N818 - says what it is
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


def _answers_json(view: Callable[[HttpRequest], JsonResponse]) -> Callable[[HttpRequest], HttpResponseBase]:
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        try:
            _require_user(request)
            with languages.speaking():
                return view(request)
        except _Refused as error:
            return JsonResponse({"error": str(error), "code": error.code}, status=error.status)

    methods = require_http_methods(["GET", "HEAD", "POST"])
    return open_to_anonymous(keep_csrf_checks(never_atomic(csrf_protect(never_cache(methods(guarded))))))


def _require_user(request: HttpRequest) -> None:
    if not request.user.is_authenticated:
        raise _Refused(401, "not_signed_in", _("Sign in first."))
    if refusal := refusal_of(request):
        raise _Refused(403, "refused", refusal)


@_answers_json
def timer(request: HttpRequest) -> JsonResponse:
    """GET: whether and how to measure on this page. POST: what was measured."""
    return _record(request) if request.method == "POST" else _begin(request)


def _begin(request: HttpRequest) -> JsonResponse:
    project = request.GET.get("project")
    if project is None:
        project = get_adapter().project_of_path(request.GET.get("path", ""))
    # A longer id is none of the host's.
    ticket = open_timer(request.user.pk, project) if project and len(project) <= MAX_ID else None
    if ticket is None:
        return JsonResponse({"project": None})
    return JsonResponse(
        {
            "project": project,
            "ticket": ticket,
            "owner": str(request.user.pk),
            "idleSeconds": conf.idle_seconds,
            "csrfToken": get_token(request),
            "csrfHeader": settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"),
            "style": asset_url("timer.css"),
            "texts": _texts(),
        }
    )


def _texts() -> dict[str, str]:
    return {
        "label": _("Working time"),
        "running": _("Recording your time"),
        "away": _("Not recording: no activity"),
        "paused": _("Paused"),
        "kept": _("Offline: kept, and sent later"),
        "pause": _("Pause"),
        "resume": _("Resume"),
    }


def _record(request: HttpRequest) -> JsonResponse:
    project, ticket, intervals = _read(request)
    try:
        new = record_activity(request.user.pk, project, ticket, intervals)
    except TicketRefused:
        text = _("The timer wasn't opened for you and this project. Reload the page.")
        raise _Refused(409, "ticket_refused", text) from None
    return JsonResponse({"new": new})


# ----------------------------------------------------------------------------------------------


def _read(request: HttpRequest) -> tuple[str, str, list[Interval]]:
    data = _json(request)
    _require(isinstance(data, dict) and data.keys() == {"project", "ticket", "intervals"})
    project, ticket, intervals = data["project"], data["ticket"], data["intervals"]
    _require(isinstance(project, str) and 0 < len(project) <= MAX_ID)
    _require(isinstance(ticket, str) and 0 < len(ticket) <= 500 and ticket.isascii())
    _require(isinstance(intervals, list) and 0 < len(intervals) <= MAX_INTERVALS)
    return project, ticket, [_interval(each) for each in intervals]


def _json(request: HttpRequest) -> Any:
    if request.content_type != "application/json":
        raise _Refused(415, "not_json", _("Send JSON."))
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = 0
    body = request.read(min(length, MAX_BYTES) + 1)
    if length > MAX_BYTES or len(body) > MAX_BYTES:
        raise _Refused(413, "too_long", _("This is too long."))
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _Refused(400, "invalid", _("This is no JSON.")) from None


def _interval(data: Any) -> Interval:
    _require(isinstance(data, dict) and data.keys() == {"key", "ago", "seconds"})
    _require(isinstance(data["key"], str) and _KEY.fullmatch(data["key"]) is not None)
    _require(_is_number(data["ago"], LATEST.total_seconds()) and _is_number(data["seconds"], MAX_SECONDS))
    return Interval(key=data["key"], ago=float(data["ago"]), seconds=float(data["seconds"]))


def _is_number(value: Any, most: float) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value) and 0 <= value <= most


def _require(is_valid: bool) -> None:
    if not is_valid:
        text = _(
            "Send the project, its ticket, and 1 to %(most)d intervals with key, ago and seconds:"
            " of %(seconds)d seconds at most, a day ago at most."
        )
        raise _Refused(400, "invalid", text % {"most": MAX_INTERVALS, "seconds": MAX_SECONDS})
