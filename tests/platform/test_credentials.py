"""The token goes where it belongs, and nothing goes in its place."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    InvalidRequest,
    OpenTrainError,
)
from tests.platform.cases import FAULTS, caught_from
from tests.platform.conftest import TOKEN, ClientFactory
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_client import SPEC
from tests.platform.test_resources import INSTALL


def test_netrc_does_not_replace_the_token(
    client: PlatformClient, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login intruder password hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.answers(200, {"install": INSTALL})
    server.answers(200, SPEC)
    client.get_install()
    client.get_openapi()
    assert [request.headers.get("Authorization") for request in server.received] == [f"Bearer {TOKEN}", None]


def test_the_hosts_session_does_not_replace_the_token(
    client: PlatformClient, server: ScriptedServer, session: requests.Session
) -> None:
    session.headers["Authorization"] = "Bearer other"
    session.auth = ("intruder", "hush")
    server.answers(200, {"install": INSTALL})
    server.answers(200, SPEC)
    client.get_install()
    client.get_openapi()
    assert [request.headers.get("Authorization") for request in server.received] == [f"Bearer {TOKEN}", None]


@pytest.mark.parametrize(
    "happens",
    [*FAULTS, lambda s: s.refuses(401, "UNAUTHORIZED", error=f"Bearer {TOKEN} is revoked")],
    ids=["drop", "cut", "500", "502 HTML", "429", "401"],
)
def test_the_token_is_in_no_log_exception_or_local_variable(
    make_client: ClientFactory,
    server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    happens: Callable[[ScriptedServer], None],
) -> None:
    happens(server)
    client = make_client(max_retries=0)
    with caplog.at_level(logging.DEBUG), pytest.raises(OpenTrainError) as caught:
        client.get_install()
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in frames.stack if "/tests/" not in frame.filename]
    shown = f"{caplog.text} {caught.value!r} {vars(caught.value)} {client!r} {vars(client)} {ours}"
    shown += repr([frame.locals for frame in ours])
    assert ours
    assert "SECRET" not in shown
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_token_with_a_newline_is_refused_unseen(server: ScriptedServer) -> None:
    with pytest.raises(InvalidRequest) as caught:
        PlatformClient(server.url, "ot_ptk_SECRET\r\nX-Injected: 1")
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame.locals for frame in frames.stack if "/tests/" not in frame.filename]
    assert "SECRET" not in f"{caught.value!r} {ours[1:]}"


def test_a_wrong_base_url_does_not_show_the_token() -> None:
    with pytest.raises(InvalidRequest) as caught:
        PlatformClient("app.opentrain.ai", TOKEN)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame.locals for frame in frames.stack if "/tests/" not in frame.filename]
    assert ours
    assert "SECRET" not in repr(ours)


def test_without_a_token_only_the_spec_can_be_had(server: ScriptedServer, session: requests.Session) -> None:
    client = PlatformClient(server.url, "", session=session)
    assert isinstance(caught_from(PlatformClient.get_install, client), InvalidRequest)
    assert server.received == []
    server.answers(200, SPEC)
    assert client.get_openapi() == SPEC
