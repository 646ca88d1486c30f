"""What is known of a request when there is a proxy in between: real ones, on local ports."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import OpenTrainConnectionError
from tests.platform.cases import SENT_ONCE, Act, caught_from, closed_port
from tests.platform.conftest import TOKEN, ClientFactory
from tests.platform.proxy import Proxy, proxying
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import INSTALL


@pytest.fixture
def proxy(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy for HTTPS, in whose tunnels the client trusts the certificate of the ``tls_server``."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with proxying() as running:
        monkeypatch.setenv("HTTPS_PROXY", running.url)
        yield running


@pytest.fixture
def through_tunnel(
    proxy: Proxy, tls_server: ScriptedServer, session: requests.Session, pauses: list[float]
) -> Iterator[PlatformClient]:
    yield PlatformClient(tls_server.url, TOKEN, session=session, sleep=pauses.append, read_timeout=5)
    # Close the tunnels before the proxy waits for their end: urllib3 does it when their pool is collected.
    session.close()
    gc.collect()


@pytest.fixture
def through_proxy(
    server: ScriptedServer, session: requests.Session, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> PlatformClient:
    """The ``server`` is the proxy: it gets requests for another host."""
    monkeypatch.setenv("HTTP_PROXY", server.url)
    return PlatformClient("http://opentrain.invalid", TOKEN, session=session, sleep=pauses.append)


def test_proxies_come_from_the_environment(through_proxy: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"install": INSTALL})
    assert through_proxy.get_install().id == "ins_1"
    assert server.received[0].target == "http://opentrain.invalid/api/partner/v1/installs/current"


@pytest.mark.long
def test_a_tunnel(through_tunnel: PlatformClient, tls_server: ScriptedServer, proxy: Proxy) -> None:
    for _ in range(2):
        tls_server.answers(200, {"install": INSTALL})
        assert through_tunnel.get_install().id == "ins_1"
    assert proxy.targets == [f"CONNECT {tls_server.url.removeprefix('https://')}"]


@pytest.mark.parametrize("act", SENT_ONCE)
def test_what_a_proxy_took_may_have_had_an_effect(
    through_proxy: PlatformClient, server: ScriptedServer, act: Act
) -> None:
    server.drops()
    error = caught_from(act, through_proxy)
    assert isinstance(error, OpenTrainConnectionError)
    assert error.outcome_unknown
    assert "may have taken effect" in str(error)
    assert len(server.received) == 1


@pytest.mark.long
@pytest.mark.parametrize("act", SENT_ONCE)
def test_what_went_through_a_tunnel_may_have_had_an_effect(
    through_tunnel: PlatformClient, tls_server: ScriptedServer, act: Act
) -> None:
    tls_server.drops()
    error = caught_from(act, through_tunnel)
    assert isinstance(error, OpenTrainConnectionError)
    assert error.outcome_unknown
    assert len(tls_server.received) == 1


def test_a_deletion_whose_answer_a_proxy_lost_succeeded(
    through_proxy: PlatformClient, server: ScriptedServer
) -> None:
    server.drops()
    server.refuses(404, "NOT_FOUND")
    assert through_proxy.delete_project_link("lnk_1") is None


@pytest.mark.long
def test_a_deletion_whose_answer_a_tunnel_lost_succeeded(
    through_tunnel: PlatformClient, tls_server: ScriptedServer
) -> None:
    tls_server.drops()
    tls_server.refuses(404, "NOT_FOUND")
    assert through_tunnel.delete_project_link("lnk_1") is None


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [
        lambda proxy: proxy.refuses(403),
        lambda proxy: proxy.refuses(407),
        lambda proxy: proxy.refuses(502),
        lambda proxy: proxy.hangs_up(),
    ],
    ids=["403", "407", "502", "hangs up"],
)
@pytest.mark.parametrize("act", SENT_ONCE)
def test_without_a_tunnel_nothing_was_sent(
    through_tunnel: PlatformClient,
    tls_server: ScriptedServer,
    proxy: Proxy,
    fault: Callable[[Proxy], None],
    act: Act,
) -> None:
    fault(proxy)
    error = caught_from(act, through_tunnel)
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown
    assert "can't be reached" in str(error)
    assert tls_server.received == []


def test_behind_a_tunnel_with_the_wrong_certificate_nothing_was_sent(
    through_tunnel: PlatformClient, tls_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    error = caught_from(SENT_ONCE[0], through_tunnel)
    assert not error.outcome_unknown
    assert "certificates" in str(error)
    assert tls_server.received == []


@pytest.mark.parametrize(
    ("name", "base_url"), [("HTTP_PROXY", "http://a.invalid"), ("HTTPS_PROXY", "https://a.invalid")]
)
def test_a_proxy_that_is_away_had_no_effect(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, name: str, base_url: str
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    error = caught_from(SENT_ONCE[0], PlatformClient(base_url, TOKEN, session=session))
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown


def test_a_kept_connection_that_breaks_may_have_had_an_effect(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    client = make_client()
    server.answers(200, {"install": INSTALL})
    server.drops()
    client.get_install()
    assert caught_from(SENT_ONCE[0], client).outcome_unknown
    assert len(server.connections) == 1
