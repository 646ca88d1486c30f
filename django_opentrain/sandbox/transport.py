"""The in-process transport: ``requests`` reaches the sandbox without a socket."""

from __future__ import annotations

import time
from collections.abc import Mapping
from io import BytesIO
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.response import HTTPResponse

from django_opentrain.sandbox.app import SandboxApp
from django_opentrain.sandbox.http import Response

Timeout = float | tuple[float, float] | tuple[float, None] | None


class SandboxAdapter(BaseAdapter):
    """Mount it on a session at the sandbox's base URL.

    A response that is slower than the read timeout raises ``ReadTimeout`` at once: no test has to
    sit through it.
    """

    def __init__(self, app: SandboxApp) -> None:
        super().__init__()
        self._app = app
        self._builder = HTTPAdapter()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Timeout = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer ``request``; ``verify``, ``cert`` and ``proxies`` mean nothing here."""
        parts = urlsplit(request.url or "")
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        headers = {name: _text(value) for name, value in request.headers.items()}
        response = self._app.handle(request.method or "GET", parts.path, parts.query, headers, bytes(body))
        self._wait(response, timeout, request)
        if response.drop:
            raise requests.ConnectionError("The connection was closed", request=request)
        built = self._builder.build_response(request, _raw(response, request.method, self._app.date_header()))
        if not stream:
            _ = built.content  # read it now, as requests' own adapter does
        return built

    def close(self) -> None:
        """Nothing stays open."""
        self._builder.close()

    def _wait(self, response: Response, timeout: Timeout, request: requests.PreparedRequest) -> None:
        read_timeout = timeout[1] if isinstance(timeout, tuple) else timeout
        if read_timeout is not None and response.delay_seconds >= read_timeout:
            raise requests.ReadTimeout("Read timed out.", request=request)
        if response.delay_seconds:  # even sleep(0) costs milliseconds on a busy machine
            time.sleep(response.delay_seconds)


def _raw(response: Response, method: str | None, date: str) -> HTTPResponse:
    length = len(response.body)
    headers = {"Date": date, **response.headers, "Content-Length": str(length)}
    sent = b"" if method == "HEAD" else response.body[: length // 2 if response.truncate else length]
    return HTTPResponse(
        body=BytesIO(sent),
        headers=headers,
        status=response.status,
        preload_content=False,
        request_method=method,
        enforce_content_length=True,  # not the default before urllib3 2
    )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
