"""Bodies that are chunked, compressed, endless, slow or broken."""

from __future__ import annotations

import gzip
import io
import json

import pytest
import requests

from django_opentrain.platform import responses
from django_opentrain.platform.client import PlatformClient, build_session
from django_opentrain.platform.errors import (
    UnusableResponse,
)
from tests.platform.cases import caught_from
from tests.platform.conftest import TOKEN, ClientFactory
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import INSTALL


def test_a_chunked_body_is_read(client: PlatformClient, server: ScriptedServer) -> None:
    server.sends_chunks(b'{"install": ', b'{"id": "ins_1"}}')
    assert client.get_install().id == "ins_1"


def test_a_chunked_body_cut_short_is_broken(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.sends_chunks(b'{"install": {"id": "ins_1"}}', ends=False)
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, UnusableResponse)
    assert "broke off" in str(error)


def test_an_endless_body_is_given_up(
    client: PlatformClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 50_000)
    server.answers(200, {"install": INSTALL, "padding": "x" * 60_000})
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, UnusableResponse)
    assert "larger than 50000 bytes" in str(error)
    assert len(server.received) == 1


def test_compression_does_not_get_around_the_limit(
    client: PlatformClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 50_000)
    server.sends(200, gzip.compress(b" " * 10_000_000), Content_Encoding="gzip")
    assert "larger than" in str(caught_from(PlatformClient.get_install, client))


def test_a_compressed_body_is_read(client: PlatformClient, server: ScriptedServer) -> None:
    body = gzip.compress(json.dumps({"install": INSTALL, "padding": list(range(50_000))}).encode())
    server.sends(200, body, Content_Encoding="gzip")
    assert client.get_install().id == "ins_1"


def test_broken_compression_is_a_broken_body(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.sends(200, b"not gzip", Content_Encoding="gzip")
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, UnusableResponse)


def test_a_response_that_is_not_urllib3s_is_read_as_well() -> None:
    """An in-process adapter gives requests any file for a body."""

    class InProcess(requests.adapters.BaseAdapter):
        def send(
            self, request: requests.PreparedRequest, *args: object, **kwargs: object
        ) -> requests.Response:
            response = requests.Response()
            response.status_code = 200
            response.url = request.url or ""
            response.raw = io.BytesIO(b'{"install": {"id": "ins_1"}}')
            return response

        def close(self) -> None:
            """Nothing is held open."""

    with build_session() as session:
        session.mount("https://app.opentrain.test", InProcess())
        client = PlatformClient("https://app.opentrain.test/", TOKEN, session=session)
        assert client.get_install().id == "ins_1"
