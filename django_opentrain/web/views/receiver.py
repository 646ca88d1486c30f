"""The receiver: where OpenTrain delivers its events.

It reads a bounded body, has the inbox verify and store it, and answers. A plain Django view: a host's REST framework
defaults for parsers, renderers and exception handlers don't apply.
"""

from __future__ import annotations

import logging
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import Error as AnyDatabaseError
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt

from django_opentrain.conf import conf
from django_opentrain.crypto import SecretBytes
from django_opentrain.errors import BadSignature, UndecryptableError, UnknownEndpoint
from django_opentrain.platform import catalog
from django_opentrain.services import inbox
from django_opentrain.view_decorators import never_atomic, open_to_anonymous
from django_opentrain.web import refusals, slow_bodies

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_opentrain.web.slow_bodies import Readable

_META_KEYS = {
    name: "HTTP_" + name.upper().replace("-", "_")
    for name in (catalog.SIGNATURE_HEADER, catalog.DELIVERY_HEADER)
}

#: Seconds after which to retry a delivery that we could not store. OpenTrain has its own schedule.
RETRY_AFTER = "60"


class Unacceptable(Exception):  # noqa: N818 - says the condition
    """The request is not one that OpenTrain would send.

    :param status: the HTTP status that says so.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@csrf_exempt
@open_to_anonymous
@never_atomic
def receive(request: HttpRequest, key: UUID) -> HttpResponse:
    """Receive one delivery: 200 once it is stored, or was before.

    Anything but a 2xx is a failed delivery for OpenTrain, which retries it and counts it towards disabling the
    endpoint; so only what is not from OpenTrain, and what we could not store, is answered otherwise.
    """
    if request.method != "POST":
        return _answer(405, Allow="POST")
    stream = _taken_body(request)
    try:
        headers = _headers(request)
        checked = inbox.check_headers(key, headers)
        inbox.receive_body(checked, _bounded_body(request, stream))
    except UnknownEndpoint:
        return _answer(404)
    except Unacceptable as error:
        return _refuse(error.status, logging.WARNING, key, str(error))
    except BadSignature:
        return _refuse(400, logging.WARNING, key, "its signature is not valid.")
    except UndecryptableError as error:
        return _refuse(503, logging.ERROR, key, f"it could not be verified. {error}")
    except AnyDatabaseError as error:
        # Only the type: a database's message can quote the row.
        return _refuse(503, logging.ERROR, key, f"it could not be stored: {type(error).__name__}.")
    return _answer(200)


def _headers(request: HttpRequest) -> dict[str, str]:
    """The two that the inbox reads: ``request.headers`` would build all of them."""
    return {name: request.META.get(key, "") for name, key in _META_KEYS.items()}


def _taken_body(request: HttpRequest) -> Readable:
    """What the body can be read from. ``request`` has none from here on.

    A body holds a Work Email, and error reporters such as Sentry add ``request.body`` to what is logged or raised.
    """
    stream: Readable = request._stream  # noqa: SLF001 - set by Django's handlers
    if not request.META.get("CONTENT_LENGTH") and request.META.get("wsgi.input_terminated"):
        # A chunked request. Django reads none of it, though the server says where it ends.
        stream = request.META["wsgi.input"]
    elif hasattr(request, "_body"):
        # A middleware has read it, and may have used up what can be read again (Label Studio's does).
        stream = BytesIO(request.body)
    request._body = b""  # noqa: SLF001 - so a middleware that looks at request.body on the way out still can
    request._stream = BytesIO()  # noqa: SLF001
    return stream


def _bounded_body(request: HttpRequest, stream: Readable) -> SecretBytes:
    """The raw body, of which no more than ``MAX_WEBHOOK_BYTES`` is ever read. Raises ``Unacceptable``."""
    limit = conf.max_webhook_bytes
    declared = request.META.get("CONTENT_LENGTH") or ""
    if declared and not (declared.isascii() and declared.isdigit()):
        raise Unacceptable(400, "the Content-Length is not a number.")
    # Without leading zeros, a number with more digits than the limit is greater: no int() of 5,000 digits.
    if len(declared.lstrip("0")) > len(str(limit)) or (declared and int(declared) > limit):
        raise Unacceptable(413, "its body is too long.")
    try:
        body = SecretBytes(slow_bodies.read(stream, limit + 1, request.META))  # it holds the Work Email
    except Exception:  # noqa: BLE001 - each server has errors of its own for a client that breaks off or frames badly
        raise Unacceptable(400, "its body could not be read.") from None
    if len(body) > limit:
        raise Unacceptable(413, "its body is too long.")
    if declared and len(body) < int(declared):
        raise Unacceptable(408, "its body broke off, or took too long.")
    if not body and not declared:
        # Not every WSGI server passes chunked requests on.
        raise Unacceptable(411, "it has no Content-Length.")
    return body


def _refuse(status: int, level: int, key: UUID, reason: str) -> HttpResponse:
    logged = refusals.log(level, key, reason)
    response = _answer(status, **({"Retry-After": RETRY_AFTER} if status == 503 else {}))
    # Else Django logs each one. What is ours to repair it may mail to the admins, as often as we log it.
    quiet = level < logging.ERROR or not logged
    response._has_been_logged = quiet  # type: ignore[attr-defined] # noqa: SLF001 - it has no public name
    return response


def _answer(status: int, **headers: str) -> HttpResponse:
    return HttpResponse(status=status, content_type="text/plain", headers=headers)
