"""Authentication: by default the host's session, with its CSRF check."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework import authentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request


class CsrfFailed(PermissionDenied):
    """A browser sent a session cookie without its CSRF token."""

    default_code = "csrf_failed"


class SessionAuthentication(authentication.SessionAuthentication):
    """The host's login session.

    A user who isn't logged in gets a 401, not a 403, so that a front end can distinguish the two.
    """

    def authenticate_header(self, request: Request) -> str:
        """RFC 9110, section 11.6.1, asks for a challenge with each 401. No browser opens a dialogue for this one."""
        return "Session"

    def enforce_csrf(self, request: Request) -> None:
        """Raises ``CsrfFailed``."""
        try:
            super().enforce_csrf(request)
        except PermissionDenied:
            raise CsrfFailed(_("The CSRF token is missing or wrong.")) from None


def django_request(request: Request) -> HttpRequest:
    """The request as adapters and services know it. Its user is the one that the API has authenticated."""
    return request._request  # noqa: SLF001 - REST framework has no public name for it
