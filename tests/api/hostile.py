"""What hosts put into REST framework's defaults: each would break our views, or open them, if it reached them."""

from __future__ import annotations

from typing import Any, NoReturn

from rest_framework.parsers import FormParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import AnonRateThrottle


def tell_everything(exc: Exception, context: object) -> Response:
    """Label Studio's handler sends ``str(exc)`` to the client."""
    return Response({"detail": str(exc)}, status=500)


class AskPolicyServer(BasePermission):
    """CVAT's permissions ask a server about views that it knows."""

    def has_permission(self, request: object, view: object) -> NoReturn:
        raise LookupError(f"no policy for {view}")


class Envelope(JSONRenderer):
    """Wraps what every view answers."""

    media_type = "application/vnd.host+json"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return super().render({"payload": data}, *args, **kwargs)


class FormsOnly(FormParser):
    """Takes no JSON."""


class OncePerHour(AnonRateThrottle):
    rate = "1/hour"
