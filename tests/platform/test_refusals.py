"""What OpenTrain's and a proxy's answers mean."""

from __future__ import annotations

import pickle

import pytest

from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    OpenTrainAPIError,
    RateLimited,
    ServerError,
    Unauthorized,
    UnusableResponse,
)
from tests.platform.cases import caught_from
from tests.platform.conftest import TOKEN, ClientFactory
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_resources import INSTALL


@pytest.mark.parametrize(
    ("status", "code", "kind", "lead"),
    [
        (400, "BAD_REQUEST", BadRequest, "OpenTrain refused the request (400): Why not."),
        (401, "UNAUTHORIZED", Unauthorized, "OpenTrain rejected the token (401): Why not."),
        (403, "FORBIDDEN", Forbidden, "OpenTrain doesn't allow this (403): Why not."),
        (404, "NOT_FOUND", NotFound, "OpenTrain didn't find it (404): Why not."),
        (409, "CONFLICT", Conflict, "OpenTrain reports a conflict (409): Why not."),
        (422, "ODD", OpenTrainAPIError, "OpenTrain refused the request (422): Why not."),
        (429, "RATE_LIMITED", RateLimited, "Rate limited by OpenTrain (429): Why not."),
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
    assert error.from_opentrain
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
    assert str(error) == ("OpenTrain failed (502), without a readable reason in text/html. (request edge-1)")
    assert (error.code, error.from_opentrain, error.details) == ("INTERNAL_ERROR", False, {})


def test_an_answer_of_nothing(make_client: ClientFactory, server: ScriptedServer) -> None:
    server.sends(503)
    error = caught_from(PlatformClient.get_install, make_client(max_retries=0))
    assert str(error) == "OpenTrain failed (503), without a readable reason."


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
    assert (error.code, error.from_opentrain) == ("CONFLICT", False)
    assert (error.request_id, error.details) == ("", {})
    assert str(error).startswith("OpenTrain reports a conflict (409), without a readable reason")


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
