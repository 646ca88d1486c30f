"""The token: sent, never shown.

It is handed around inside an object, since error reporters print the local variables of every frame.
"""

from __future__ import annotations

import re

import requests
from requests.auth import AuthBase

from django_opentrain.platform.errors import InvalidRequest

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]*")


class BearerToken(AuthBase):
    """Authorises a request with the token; with "", takes care that it carries no credentials at all.

    An ``AuthBase``, and never falsy, because requests puts what ``.netrc`` has for the host in the place of a
    plain header.
    """

    def __init__(self, token: str) -> None:
        """Raises ``InvalidRequest`` for all but visible ASCII: the error of requests would show the token."""
        self._token = token
        if not _VISIBLE_ASCII.fullmatch(token):
            del token
            raise InvalidRequest(
                "The token holds characters that no token has: only visible ASCII can be sent."
            )

    @property
    def present(self) -> bool:
        """Whether there is a token."""
        return bool(self._token)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def hide_in(self, text: str) -> str:
        """``text`` without the token."""
        return text.replace(self._token, "[redacted]") if self._token else text
