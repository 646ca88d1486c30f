"""What an error reporter sees of our frames: some print every local variable, and send it to their vendor."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings

from django_opentrain.crypto import generate_key
from django_opentrain.services import inbox
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_endpoint, make_install
from tests.web.deliveries import deliver, headers
from tests.web.test_connect import arrive, send

BODY = json.dumps(
    {"id": "1", "type": "contract.started", "data": {"freelancer": {"workEmail": "SECRET@opentrain.work"}}}
).encode()


def reported(call: Callable[[], object]) -> str:
    """All local variables from our view inwards, when this fails as it does on a site that has lost its keys."""
    lost = override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": []})
    with lost, pytest.raises(ImproperlyConfigured) as caught:
        call()
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [number for number, frame in enumerate(frames.stack) if "/django_opentrain/" in frame.filename]
    return repr([frame.locals for frame in frames.stack[ours[0] :]])


@pytest.mark.parametrize("known", [False, True], ids=["before it is verified", "when it is stored"])
def test_a_delivery_that_fails_shows_no_work_email(known: bool) -> None:
    client, endpoint = Client(), make_endpoint(make_install())
    if known:
        deliver(client, endpoint)
    assert "SECRET" not in reported(lambda: deliver(client, endpoint, BODY))


seen_requests: list[HttpRequest] = []


def remember_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """As error reporters do, to add the request to what is logged or raised."""

    def middleware(request: HttpRequest) -> HttpResponse:
        seen_requests[:] = [request]
        return get_response(request)

    return middleware


def remember_request_and_body(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """As Label Studio's middleware does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        assert request.body == BODY
        return remember_request(get_response)(request)

    return middleware


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What is found in a request when something is logged, and when an exception is reported."""
    found: list[bytes] = []

    def look(**_signal: Any) -> None:
        request = seen_requests[0]
        found.extend([request.body, request.read(), repr(vars(request)).encode()])

    def log(*_arguments: object, **_more: object) -> None:
        look()

    monkeypatch.setattr(logging.getLogger("django_opentrain.web.refusals"), "log", log)
    got_request_exception.connect(look)
    yield found
    got_request_exception.disconnect(look)


@pytest.mark.parametrize("middleware", ["remember_request", "remember_request_and_body"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("error", [OperationalError("down"), RuntimeError("a bug"), None], ids=repr)
def test_a_request_whose_delivery_failed_has_no_body(
    attached: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    middleware: str,
    content_type: str,
    error: Exception | None,
) -> None:
    """``None``: the endpoint's own secret can't be decrypted, so that nothing has read the body."""
    endpoint, client = make_endpoint(make_install()), Client(raise_request_exception=False)

    def fail(*_arguments: object, **_more: object) -> None:
        raise error or AssertionError

    options = {**settings.OPENTRAIN}
    if error:
        monkeypatch.setattr(inbox.deliveries, "store", fail)
    else:
        options["ENCRYPTION_KEYS"] = [generate_key()]
    signed = headers(endpoint, BODY)
    with override_settings(MIDDLEWARE=[f"{__name__}.{middleware}"], OPENTRAIN=options):
        status = client.generic(
            "POST", f"/opentrain/webhooks/{endpoint.key}/", BODY, content_type, **signed
        ).status_code
    assert status in {500, 503}
    assert attached
    assert b"SECRET" not in b"".join(attached)


@pytest.mark.skipif(not importlib.util.find_spec("sentry_sdk"), reason="sentry-sdk is not installed")
@pytest.mark.slow
def test_sentry_sends_no_work_email() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.web.sentry_site"],
        env={**os.environ, "TEST_DATABASE": "sqlite"},
        capture_output=True,
        text=True,
        check=True,
    )
    sent: dict[str, list[Any]] = json.loads(run.stdout)
    assert "SECRET" in json.dumps(sent.pop("control; []"))
    assert "SECRET" not in json.dumps(sent)
    assert sum(map(len, sent.values())) == 8


def test_a_token_that_cannot_be_kept_is_not_shown(boss: Client, opentrain: OpenTrain) -> None:
    url, token = arrive(boss, opentrain)
    assert token not in reported(lambda: send(boss, url, token=token))


def test_nor_is_one_that_comes_by_the_api(boss: Client, opentrain: OpenTrain) -> None:
    token = opentrain.sandbox.approve().token
    boss.cookies["csrftoken"] = "c" * 32
    with override_settings(DEBUG=True):  # then the API lets exceptions pass
        report = reported(
            lambda: boss.post(
                "/opentrain/api/installs/token/",
                {"token": token},
                "application/json",
                headers={"X-CSRFToken": "c" * 32},
            )
        )
    assert token not in report
