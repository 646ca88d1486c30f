from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import requests

from django_opentrain.platform.client import PlatformClient, build_session
from tests.platform.scripted_server import ScriptedServer, serving

TOKEN = "ot_ptk_0123456789abcdefSECRET"

ClientFactory = Callable[..., PlatformClient]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, .netrc or CA bundle of the machine's takes part."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/nonexistent")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def session(server: ScriptedServer) -> Iterator[requests.Session]:
    with build_session() as opened:
        yield opened


@pytest.fixture
def pauses() -> list[float]:
    """How long the client would have slept, each time."""
    return []


@pytest.fixture
def make_client(server: ScriptedServer, session: requests.Session, pauses: list[float]) -> ClientFactory:
    return partial(PlatformClient, server.url, TOKEN, session=session, sleep=pauses.append, read_timeout=5)


@pytest.fixture
def client(make_client: ClientFactory) -> PlatformClient:
    return make_client()
