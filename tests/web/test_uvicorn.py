"""The receiver behind a real ASGI server."""

from __future__ import annotations

import gc
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import uvicorn
from django.core.asgi import get_asgi_application

from django_opentrain.models import WebhookEndpoint, WebhookEvent
from tests.factories import make_endpoint, make_install
from tests.web.deliveries import BODY, signature

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Django keeps the connections to a database in memory, when the threads that opened them have ended.
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]

SECONDS = 30


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint(make_install())


def wait_until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def port() -> Iterator[int]:
    """Where a server of this site listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(get_asgi_application(), lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        wait_until(lambda: server.started)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(SECONDS)
        assert not thread.is_alive()
    gc.collect()


@pytest.fixture
def sender(port: int) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        yield connection


def start(sender: http.client.HTTPConnection, endpoint: WebhookEndpoint, body: bytes) -> None:
    """Send what comes before a chunked body."""
    sender.putrequest("POST", f"/opentrain/webhooks/{endpoint.key}/")
    sender.putheader("X-OpenTrain-Signature", signature(str(endpoint.secret), body))
    sender.putheader("Transfer-Encoding", "chunked")
    sender.endheaders()


def send_chunk(sender: http.client.HTTPConnection, chunk: bytes) -> None:
    sender.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))


def stored() -> list[bytes]:
    return [bytes(each.body or b"") for each in WebhookEvent.objects.order_by("pk")]


@pytest.mark.long
def test_a_chunked_delivery_is_stored(sender: http.client.HTTPConnection, endpoint: WebhookEndpoint) -> None:
    start(sender, endpoint, BODY)
    for chunk in (BODY[:5], BODY[5:], b""):
        send_chunk(sender, chunk)
    assert sender.getresponse().status == 200
    assert stored() == [BODY]


@pytest.mark.long
def test_a_body_that_is_sent_slowly_holds_no_thread(
    port: int, sender: http.client.HTTPConnection, endpoint: WebhookEndpoint
) -> None:
    """All views of a process may share one thread: what came whole must not wait for what is still coming."""
    later = BODY.replace(b"evt_1", b"evt_2")
    start(sender, endpoint, later)
    send_chunk(sender, later[:5])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as other:
        start(other, endpoint, BODY)
        for chunk in (BODY, b""):
            send_chunk(other, chunk)
        assert other.getresponse().status == 200
    assert stored() == [BODY]
    for chunk in (later[5:], b""):
        send_chunk(sender, chunk)
    assert sender.getresponse().status == 200
    assert stored() == [BODY, later]


@pytest.mark.long
def test_a_body_that_breaks_off_is_not_stored(
    port: int, sender: http.client.HTTPConnection, endpoint: WebhookEndpoint
) -> None:
    start(sender, endpoint, BODY)
    send_chunk(sender, BODY[:5])
    sender.close()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as other:
        start(other, endpoint, BODY)
        for chunk in (BODY, b""):
            send_chunk(other, chunk)
        assert other.getresponse().status == 200
    assert stored() == [BODY]


@pytest.mark.long
def test_a_forged_delivery_is_refused(sender: http.client.HTTPConnection, endpoint: WebhookEndpoint) -> None:
    start(sender, endpoint, b"something else")
    for chunk in (BODY, b""):
        send_chunk(sender, chunk)
    assert sender.getresponse().status == 400
    assert stored() == []
