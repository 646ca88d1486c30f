"""What can happen on the wire, against a real server on a local port."""

from __future__ import annotations

import gzip
import io
import json
import logging
import pickle
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3 import HTTPResponse

from django_opentrain.platform import answers
from django_opentrain.platform.client import PlatformClient, build_session
from django_opentrain.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    OpenTrainAPIError,
    OpenTrainConnectionError,
    OpenTrainError,
    RateLimited,
    ServerError,
    Unauthorized,
    UnusableResponse,
)
from tests.platform.conftest import TOKEN, ClientFactory
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_client import ENTRY, SPEC
from tests.platform.test_resources import ENDPOINT, INSTALL

Act = Callable[[PlatformClient], Any]

REPEATED: list[tuple[Act, dict[str, Any]]] = [
    (lambda c: c.get_install(), {"install": INSTALL}),
    (lambda c: c.report_usage("c", [ENTRY]), {"contractId": "c", "accepted": 1}),
    (lambda c: c.delete_webhook_endpoint("e"), {"webhookEndpoint": ENDPOINT, "deleted": True}),
    (lambda c: c.get_openapi(), SPEC),
]
SENT_ONCE: list[Act] = [
    lambda c: c.create_project_link(external_project_id="7"),
    lambda c: c.create_webhook_endpoint(url="https://x.example", event_types=["contract.ended"]),
    lambda c: c.update_webhook_endpoint("e", status="ACTIVE"),
    lambda c: c.redeliver("e"),
]
TROUBLE: list[Callable[[ScriptedServer], None]] = [
    lambda s: s.drops(),
    lambda s: s.cuts_short(),
    lambda s: s.sends(500),
    lambda s: s.sends(502, b"<html>Bad gateway</html>", Content_Type="text/html"),
    lambda s: s.refuses(429, "RATE_LIMITED"),
]
trouble = pytest.mark.parametrize("trouble", TROUBLE, ids=["drop", "cut", "500", "502 HTML", "429"])


def caught_from(act: Act, client: PlatformClient) -> OpenTrainError:
    with pytest.raises(OpenTrainError) as caught:
        act(client)
    return caught.value


# Repetitions -----------------------------------------------------------------------------------


@trouble
@pytest.mark.parametrize(("act", "answer"), REPEATED, ids=["GET", "usage", "DELETE", "spec"])
def test_what_is_repeatable_survives_trouble(
    client: PlatformClient,
    server: ScriptedServer,
    pauses: list[float],
    trouble: Callable[[ScriptedServer], None],
    act: Act,
    answer: dict[str, Any],
) -> None:
    for _ in range(3):
        trouble(server)
    server.answers(200, answer)
    assert act(client)
    assert len(server.received) == 4
    assert len({(request.target, request.body) for request in server.received}) == 1
    assert len(pauses) == 3


@trouble
@pytest.mark.parametrize("act", SENT_ONCE, ids=["link", "endpoint", "PATCH", "redeliver"])
def test_other_writes_are_sent_once(
    client: PlatformClient,
    server: ScriptedServer,
    pauses: list[float],
    trouble: Callable[[ScriptedServer], None],
    act: Act,
) -> None:
    trouble(server)
    error = caught_from(act, client)
    assert error.outcome_unknown is not isinstance(error, RateLimited)
    assert len(server.received) == 1
    assert pauses == []


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 418])
def test_answers_are_not_argued_with(client: PlatformClient, server: ScriptedServer, status: int) -> None:
    server.sends(status)
    error = caught_from(PlatformClient.get_install, client)
    assert not error.outcome_unknown
    assert len(server.received) == 1


def test_gives_up_after_its_repetitions(make_client: ClientFactory, server: ScriptedServer) -> None:
    for _ in range(5):
        server.sends(500)
    assert isinstance(caught_from(PlatformClient.get_install, make_client(max_retries=2)), ServerError)
    assert len(server.received) == 3
    assert isinstance(caught_from(PlatformClient.get_install, make_client(max_retries=0)), ServerError)
    assert len(server.received) == 4


def test_pauses_grow_with_full_jitter_up_to_a_cap(
    make_client: ClientFactory, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", uniform)
    for _ in range(7):
        server.sends(500)
    caught_from(PlatformClient.get_install, make_client(max_retries=6))
    assert asked == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0), (0, 8.0)]


@pytest.mark.parametrize(("status", "code"), [(429, "RATE_LIMITED"), (503, "INTERNAL_ERROR")])
def test_a_short_retry_after_is_slept(
    client: PlatformClient, server: ScriptedServer, pauses: list[float], status: int, code: str
) -> None:
    server.answers(status, {"code": code}, Retry_After="2")
    server.answers(200, {"install": INSTALL})
    client.get_install()
    assert pauses == [2.0]


@pytest.mark.parametrize(
    "value", ["3", "600", "Fri, 31 Dec 9999 23:59:59 GMT"], ids=["3 s", "10 minutes", "a date"]
)
def test_a_long_retry_after_is_for_rescheduling(
    client: PlatformClient, server: ScriptedServer, pauses: list[float], value: str
) -> None:
    server.answers(429, {"error": "Slow down", "code": "RATE_LIMITED"}, Retry_After=value)
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, RateLimited)
    assert error.retry_after == {"3": 3.0, "600": 600.0}.get(value, 86_400.0)
    assert pauses == []


def test_a_rate_limit_that_does_not_say_how_long(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.refuses(429, "RATE_LIMITED")
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, RateLimited)
    assert error.retry_after is None


# Deletions whose answer was lost -----------------------------------------------------------------


@pytest.mark.parametrize("lost", TROUBLE[:4], ids=["drop", "cut", "500", "502 HTML"])
def test_a_repeated_deletion_that_finds_nothing_succeeded_before(
    client: PlatformClient, server: ScriptedServer, lost: Callable[[ScriptedServer], None]
) -> None:
    lost(server)
    server.refuses(404, "NOT_FOUND")
    assert client.delete_project_link("lnk_1") is None


def test_a_first_deletion_that_finds_nothing_did_not(client: PlatformClient, server: ScriptedServer) -> None:
    server.refuses(404, "NOT_FOUND")
    assert isinstance(caught_from(lambda c: c.delete_project_link("l"), client), NotFound)


def test_a_refused_deletion_proves_nothing(client: PlatformClient, server: ScriptedServer) -> None:
    server.refuses(429, "RATE_LIMITED")
    server.refuses(404, "NOT_FOUND")
    assert isinstance(caught_from(lambda c: c.delete_project_link("l"), client), NotFound)


def test_a_load_balancers_404_proves_nothing(client: PlatformClient, server: ScriptedServer) -> None:
    server.sends(503)
    server.sends(404, b"default backend - 404", Content_Type="text/plain")
    error = caught_from(lambda c: c.delete_project_link("l"), client)
    assert isinstance(error, NotFound)
    assert error.outcome_unknown  # the first may have deleted it


def test_a_lost_read_that_finds_nothing_is_not_found(client: PlatformClient, server: ScriptedServer) -> None:
    server.drops()
    server.refuses(404, "NOT_FOUND")
    assert isinstance(caught_from(lambda c: c.get_project_link("l"), client), NotFound)


# What answers mean -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind", "lead"),
    [
        (400, "BAD_REQUEST", BadRequest, "OpenTrain refused the request (400): Why not."),
        (401, "UNAUTHORIZED", Unauthorized, "OpenTrain doesn't accept the token (401): Why not."),
        (403, "FORBIDDEN", Forbidden, "OpenTrain doesn't allow this (403): Why not."),
        (404, "NOT_FOUND", NotFound, "OpenTrain doesn't know it (404): Why not."),
        (409, "CONFLICT", Conflict, "OpenTrain reports a conflict (409): Why not."),
        (422, "ODD", OpenTrainAPIError, "OpenTrain refused the request (422): Why not."),
        (429, "RATE_LIMITED", RateLimited, "OpenTrain limits the rate of calls (429): Why not."),
        (500, "INTERNAL_ERROR", ServerError, "OpenTrain failed (500): Why not."),
        (599, "ODD", ServerError, "OpenTrain failed (599): Why not."),
    ],
)
def test_errors_by_status(
    make_client: ClientFactory,
    server: ScriptedServer,
    status: int,
    code: str,
    kind: type[OpenTrainAPIError],
    lead: str,
) -> None:
    server.refuses(status, code, error="Why not.", details={"index": 3})
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert type(error) is kind
    assert isinstance(error, kind)
    assert str(error) == f"{lead} (request req_7)"
    assert (error.status, error.code, error.request_id, error.details) == (
        status,
        code,
        "req_7",
        {"index": 3},
    )
    assert error.__context__ is None
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_answer_of_a_proxys(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.sends(
        502,
        b"<html>upstream maria@opentrain.work",
        Content_Type="text/html; charset=x",
        X_Request_Id="edge-1",
    )
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, ServerError)
    assert str(error) == (
        "OpenTrain failed (502), without a reason that can be read in text/html. (request edge-1)"
    )
    assert (error.code, error.details) == ("", {})


def test_an_answer_of_nothing(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.sends(503)
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert str(error) == "OpenTrain failed (503), without a reason that can be read."


def test_an_error_whose_body_breaks_off_is_still_that_error(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    server.cuts_short(status=409)
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, Conflict)
    assert error.request_id == "req_cut"


@pytest.mark.parametrize(
    "envelope",
    [
        [],
        "error",
        {"error": {"message": "nested"}, "code": 7, "requestId": ["x"], "details": "none"},
        {"error": "", "code": "not a code", "requestId": "has blanks and\nlines", "details": []},
        {"error": None, "code": "X" * 65, "requestId": "x" * 129},
        {"requestId": f"x-{TOKEN}"},
    ],
    ids=["list", "text", "types", "forms", "lengths", "token"],
)
def test_an_ill_formed_envelope_is_not_believed(
    client: PlatformClient, server: ScriptedServer, envelope: object
) -> None:
    server.answers(409, envelope)
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, Conflict)
    assert (error.code, error.request_id, error.details) == ("", "", {})
    assert str(error).startswith("OpenTrain reports a conflict (409), without a reason")


def test_what_an_answer_says_is_bounded_and_redacted(client: PlatformClient, server: ScriptedServer) -> None:
    said = f"{TOKEN} of maria@opentrain.work\n" + "x" * 5000
    server.refuses(400, "BAD_REQUEST", error=said, details={"entries": [said]})
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, BadRequest)
    shown = f"{error} {error!r} {error.details}"
    assert "SECRET" not in shown
    assert "maria" not in shown
    assert len(str(error)) < 400
    assert "\n" not in str(error)


def test_a_body_cut_short_has_status_and_request_id(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    server.cuts_short()
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, UnusableResponse)
    assert (error.status, error.request_id, error.outcome_unknown) == (200, "req_cut", True)
    assert "broke off" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"install":', b"\xff", b"[" * 50_000, b"NaN"], ids=repr)
def test_a_success_that_is_not_json_is_not_repeated(
    client: PlatformClient, server: ScriptedServer, body: bytes
) -> None:
    server.sends(200, body)
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, UnusableResponse)
    assert "not usable JSON" in str(error)
    assert len(server.received) == 1


def test_no_content_is_no_install(client: PlatformClient, server: ScriptedServer) -> None:
    server.sends(204)
    assert isinstance(caught_from(PlatformClient.get_install, client), UnusableResponse)


def test_a_redirect_is_not_followed(client: PlatformClient, server: ScriptedServer) -> None:
    server.sends(302, Location=f"{server.url}/elsewhere")
    server.answers(200, {"install": INSTALL})
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, OpenTrainAPIError)
    assert error.status == 302
    assert "redirect" in str(error)
    assert len(server.received) == 1


# Bodies: size, time, compression -------------------------------------------------------------------


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
    monkeypatch.setattr(answers, "MAX_BODY_BYTES", 50_000)
    server.answers(200, {"install": INSTALL, "padding": "x" * 60_000})
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, UnusableResponse)
    assert "larger than 50000 bytes" in str(error)
    assert len(server.received) == 1


def test_compression_does_not_get_around_the_limit(
    client: PlatformClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MAX_BODY_BYTES", 50_000)
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


@pytest.mark.skipif(not hasattr(HTTPResponse, "read1"), reason="urllib3 1.26 waits for whole chunks")
def test_a_body_that_drips_in_is_given_up(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.drips(0.05)
    error = caught_from(PlatformClient.get_install, make_client(read_timeout=0.4, max_retries=0))
    assert isinstance(error, UnusableResponse)
    assert "longer than 0.4 s" in str(error)


def test_silence_is_given_up(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.drips(1.0)
    error = caught_from(PlatformClient.get_install, make_client(read_timeout=0.2, max_retries=0))
    assert isinstance(error, UnusableResponse)
    assert "broke off" in str(error)


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


# No answer -----------------------------------------------------------------------------------------


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("act", [*SENT_ONCE, REPEATED[0][0]])
def test_what_was_never_connected_had_no_effect(
    session: requests.Session, pauses: list[float], act: Act
) -> None:
    client = PlatformClient(f"http://127.0.0.1:{_closed_port()}", TOKEN, session=session, sleep=pauses.append)
    error = caught_from(act, client)
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown
    assert "can't be reached" in str(error)
    assert error.__context__ is None
    assert len(pauses) == (0 if act in SENT_ONCE else 3)


def test_a_host_that_does_not_exist(session: requests.Session, pauses: list[float]) -> None:
    client = PlatformClient("http://opentrain.invalid", TOKEN, session=session, sleep=pauses.append)
    error = caught_from(PlatformClient.get_install, client)
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown


def test_a_connect_timeout_had_no_effect(session: requests.Session) -> None:
    class Unreachable(requests.adapters.BaseAdapter):
        def send(self, *args: object, **kwargs: object) -> requests.Response:
            raise requests.ConnectTimeout

        def close(self) -> None:
            """Nothing is held open."""

    session.mount("http://opentrain.test", Unreachable())
    client = PlatformClient("http://opentrain.test", TOKEN, session=session, max_retries=0)
    assert not caught_from(PlatformClient.get_install, client).outcome_unknown


def _wait_for_more(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read(1)


def test_a_timeout_after_sending_may_have_had_an_effect(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    server.script.append(_wait_for_more)
    error = caught_from(SENT_ONCE[0], make_client(read_timeout=0.2))
    assert isinstance(error, OpenTrainConnectionError)
    assert error.outcome_unknown
    assert "ReadTimeout" in str(error)


def test_what_the_caller_is_handling_does_not_count(client: PlatformClient, server: ScriptedServer) -> None:
    """A caller inside ``except`` gives every exception a context; it says nothing about this call."""
    server.drops()
    try:
        requests.get(f"http://127.0.0.1:{_closed_port()}", timeout=1)
    except requests.ConnectionError:
        error = caught_from(SENT_ONCE[0], client)
    assert error.outcome_unknown


def test_garbage_instead_of_http(make_client: ClientFactory, server: ScriptedServer) -> None:
    def garbage(handler: Any) -> None:
        handler.close_connection = True
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    server.script.append(garbage)
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert isinstance(error, OpenTrainConnectionError)
    assert error.outcome_unknown


def test_contradicting_content_lengths_come_from_the_answer(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    server.sends(200, b"{}", Content_Length="2, 7")
    error = caught_from(SENT_ONCE[0], make_client())
    assert not isinstance(error, InvalidRequest)
    assert error.outcome_unknown


# What must not be used in place of the token ---------------------------------------------------------


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


def test_cookies_are_not_kept(client: PlatformClient, server: ScriptedServer) -> None:
    server.answers(200, {"install": INSTALL}, Set_Cookie="session=1; Path=/")
    server.answers(200, {"install": INSTALL})
    client.get_install()
    client.get_install()
    assert "Cookie" not in server.received[1].headers


def test_proxies_come_from_the_environment(
    server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.answers(200, {"install": INSTALL})
    assert PlatformClient("http://opentrain.invalid", TOKEN, session=session).get_install().id == "ins_1"
    assert server.received[0].target == "http://opentrain.invalid/api/partner/v1/installs/current"


def test_a_proxy_that_is_away_had_no_effect(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{_closed_port()}")
    client = PlatformClient("http://opentrain.invalid", TOKEN, session=session)
    error = caught_from(SENT_ONCE[0], client)
    assert isinstance(error, OpenTrainConnectionError)
    assert not error.outcome_unknown


def test_connections_are_kept(client: PlatformClient, server: ScriptedServer) -> None:
    for _ in range(3):
        server.answers(200, {"install": INSTALL})
        server.refuses(404, "NOT_FOUND")
        client.get_install()
        caught_from(lambda c: c.get_budget("c"), client)
    assert len(server.connections) == 1


# Secrets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "happens",
    [*TROUBLE, lambda s: s.refuses(401, "UNAUTHORIZED", error=f"Bearer {TOKEN} is revoked")],
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


def test_without_a_token_only_the_spec_can_be_had(server: ScriptedServer, session: requests.Session) -> None:
    client = PlatformClient(server.url, "", session=session)
    assert isinstance(caught_from(PlatformClient.get_install, client), InvalidRequest)
    assert server.received == []
    server.answers(200, SPEC)
    assert client.get_openapi() == SPEC


@pytest.mark.parametrize(
    "base_url", ["", "app.opentrain.ai", "ftp://app.opentrain.ai", "https://", "https://a/?b=c", "http://["]
)
def test_a_base_url_must_be_one(base_url: str) -> None:
    with pytest.raises(InvalidRequest, match="base URL"):
        PlatformClient(base_url, TOKEN)


def test_a_base_url_that_requests_refuses(session: requests.Session) -> None:
    client = PlatformClient(f"http://{'a' * 70}..example", TOKEN, session=session)
    assert isinstance(caught_from(PlatformClient.get_install, client), InvalidRequest)


def test_the_session_is_made_when_none_is_given(
    server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_opentrain.platform.client.build_session", lambda: session)
    server.answers(200, {"install": INSTALL})
    assert PlatformClient(server.url, TOKEN).get_install().id == "ins_1"


def test_none_of_it_imports_django() -> None:
    program = (
        "import sys, django_opentrain.platform.client, django_opentrain.platform.signing\n"
        "sys.exit('django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
