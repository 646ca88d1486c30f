"""TLS, with a certificate that the client trusts and with one that it doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from django_opentrain.platform.client import PlatformClient, build_session
from django_opentrain.platform.errors import OpenTrainConnectionError
from tests.platform.conftest import TOKEN
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import INSTALL


def test_a_trusted_certificate(
    tls_server: ScriptedServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    tls_server.answers(200, {"install": INSTALL})
    with build_session() as session:
        assert PlatformClient(tls_server.url, TOKEN, session=session).get_install().id == "ins_1"


def test_an_untrusted_certificate_is_refused_once_and_for_all(
    tls_server: ScriptedServer, pauses: list[float]
) -> None:
    with build_session() as session:
        client = PlatformClient(tls_server.url, TOKEN, session=session, sleep=pauses.append)
        with pytest.raises(OpenTrainConnectionError, match="certificates") as caught:
            client.get_install()
    assert not caught.value.outcome_unknown
    assert pauses == []
    assert tls_server.received == []


def test_a_port_that_does_not_speak_tls(server: ScriptedServer, pauses: list[float]) -> None:
    with build_session() as session:
        client = PlatformClient(
            server.url.replace("http:", "https:"), TOKEN, session=session, sleep=pauses.append
        )
        with pytest.raises(OpenTrainConnectionError, match="No secure connection") as caught:
            client.get_install()
    assert not caught.value.outcome_unknown
    assert pauses == []
