"""The receiver: what it takes, what it refuses, and under whose middleware."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import translation

from django_opentrain.conf import SETTINGS
from django_opentrain.crypto import generate_key
from django_opentrain.models import WebhookEndpoint, WebhookEvent
from django_opentrain.web import refusals
from django_opentrain.web.views.receiver import receive
from tests.factories import make_endpoint, make_install
from tests.web.deliveries import BODY, deliver, headers, signature

LIMIT = SETTINGS["MAX_WEBHOOK_BYTES"].default
THIS = "tests.web.test_receiver"


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint(make_install())


@pytest.fixture
def stranger() -> Client:
    """OpenTrain, to whom no CSRF token and no session was given."""
    return Client(enforce_csrf_checks=True)


# What it answers ------------------------------------------------------------------------------


def test_a_delivery_is_stored_and_a_repeat_is_welcome(stranger: Client, endpoint: WebhookEndpoint) -> None:
    assert [deliver(stranger, endpoint) for _ in range(3)] == [200, 200, 200]
    assert WebhookEvent.objects.get().body == BODY


def test_the_answer_says_nothing(stranger: Client, endpoint: WebhookEndpoint) -> None:
    url = f"/opentrain/webhooks/{endpoint.key}/"
    response = stranger.generic("POST", url, BODY, "application/json", **headers(endpoint))
    assert (response.content, dict(response.cookies)) == (b"", {})
    assert response["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"HTTP_X_OPENTRAIN_SIGNATURE": None}, 400, id="unsigned"),
        pytest.param(
            {"HTTP_X_OPENTRAIN_SIGNATURE": signature("whsec_other", BODY)}, 400, id="another secret"
        ),
        pytest.param({"HTTP_X_OPENTRAIN_SIGNATURE": "t=²,v1=é"}, 400, id="not a signature"),
        pytest.param({"HTTP_X_OPENTRAIN_EVENT": None, "HTTP_X_OPENTRAIN_DELIVERY": None}, 200, id="no hints"),
        pytest.param(
            {"HTTP_X_OPENTRAIN_EVENT": "contract.started"}, 200, id="a hint that contradicts the body"
        ),
        pytest.param({"CONTENT_TYPE": "text/plain"}, 200, id="another content type"),
        pytest.param({"CONTENT_TYPE": "multipart/form-data; boundary=x"}, 200, id="says it is a form"),
        pytest.param({"CONTENT_LENGTH": str(LIMIT + 1)}, 413, id="declared too long"),
        pytest.param({"CONTENT_LENGTH": "9" * 5000}, 413, id="declared absurdly long"),
        pytest.param({"CONTENT_LENGTH": f"{len(BODY):050}"}, 200, id="a length with leading zeros"),
        pytest.param({"CONTENT_LENGTH": "-1"}, 400, id="negative length"),
        pytest.param({"CONTENT_LENGTH": "²"}, 400, id="a digit that int() refuses"),
        pytest.param({"CONTENT_LENGTH": "ninety"}, 400, id="length in words"),
        pytest.param({"CONTENT_LENGTH": ""}, 411, id="no length"),
        pytest.param({"CONTENT_LENGTH": str(len(BODY) - 1)}, 400, id="cut short"),
    ],
)
def test_only_what_opentrain_signed_is_taken(
    stranger: Client, endpoint: WebhookEndpoint, changes: dict[str, Any], status: int
) -> None:
    assert deliver(stranger, endpoint, **changes) == status
    assert WebhookEvent.objects.exists() is (status == 200)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"not json", 200, id="not JSON"),
        pytest.param(b'{"type": "something.new", "id": "1"}', 200, id="an unknown type"),
        pytest.param(b'{"type": "contract.ended", "id": "\\u0000\\ud800", "n": NaN}', 200, id="hostile JSON"),
        pytest.param(b"[" * LIMIT, 200, id="as long as allowed"),
        pytest.param(b"[" * (LIMIT + 1), 413, id="too long"),
    ],
)
def test_any_signed_body_within_the_bound_is_kept(
    stranger: Client, endpoint: WebhookEndpoint, body: bytes, status: int
) -> None:
    assert deliver(stranger, endpoint, body) == status
    assert WebhookEvent.objects.count() == (status == 200)


def test_the_bound_is_a_setting(stranger: Client, endpoint: WebhookEndpoint) -> None:
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "MAX_WEBHOOK_BYTES": len(BODY) - 1}):
        assert deliver(stranger, endpoint) == 413
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "MAX_WEBHOOK_BYTES": len(BODY)}):
        assert deliver(stranger, endpoint) == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(stranger: Client, endpoint: WebhookEndpoint, method: str) -> None:
    response = stranger.generic(method, f"/opentrain/webhooks/{endpoint.key}/", BODY, **headers(endpoint))
    assert (response.status_code, response["Allow"]) == (405, "POST")


@pytest.mark.parametrize("key", [uuid.uuid4(), "not-a-uuid", ""])
def test_an_unknown_key_is_not_found(stranger: Client, endpoint: WebhookEndpoint, key: object) -> None:
    assert deliver(stranger, endpoint, path=f"/opentrain/webhooks/{key}/") == 404


@pytest.mark.parametrize(("length", "status"), [(len(BODY), 200), (LIMIT * 4, 413)])
def test_a_chunked_request_is_read_within_the_bound(
    endpoint: WebhookEndpoint, length: int, status: int
) -> None:
    """As gunicorn passes it on: no Content-Length, and a stream that ends by itself."""
    body = BODY.ljust(length)
    stream = BytesIO(body)
    request = RequestFactory().generic("POST", "/", **headers(endpoint, body))
    request.META |= {"wsgi.input": stream, "wsgi.input_terminated": True}
    assert receive(request, endpoint.key).status_code == status
    assert stream.tell() == min(length, LIMIT + 1)


def test_a_body_without_a_length_is_read_within_the_bound(endpoint: WebhookEndpoint) -> None:
    """As chunked requests reach Django over ASGI: the whole body, and no Content-Length."""
    assert _over_asgi(endpoint, BODY).status_code == 200
    file = BytesIO(b"[" * (LIMIT * 4))
    assert _over_asgi(endpoint, b"[" * (LIMIT * 4), file).status_code == 413
    assert file.tell() == LIMIT + 1


def _over_asgi(endpoint: WebhookEndpoint, body: bytes, file: BytesIO | None = None) -> HttpResponse:
    value = signature(str(endpoint.secret), body).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/opentrain/webhooks/{endpoint.key}/",
        "headers": [(b"x-opentrain-signature", value)],
        "query_string": b"",
    }
    return receive(ASGIRequest(scope, file or BytesIO(body)), endpoint.key)


def test_a_connection_that_breaks_is_refused(endpoint: WebhookEndpoint) -> None:
    class Broken(BytesIO):
        def read(self, *_args: object) -> bytes:
            raise OSError("gone")

    request = RequestFactory().post(
        "/", BODY, "application/json", **{**headers(endpoint), "wsgi.input": Broken()}
    )
    assert receive(request, endpoint.key).status_code == 400


# When something of ours is broken --------------------------------------------------------------


def test_a_database_that_is_down_makes_opentrain_try_again(
    stranger: Client, endpoint: WebhookEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def down(_execute: object, sql: str, *_rest: object) -> None:
        raise OperationalError(f"{sql} with {BODY!r}")

    with connection.execute_wrapper(down):
        assert deliver(stranger, endpoint) == 503
    assert "OperationalError" in caplog.text
    assert "evt_1" not in caplog.text
    assert deliver(stranger, endpoint) == 200


def test_a_lost_key_is_explained_in_the_log(
    stranger: Client, endpoint: WebhookEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}):
        assert deliver(stranger, endpoint) == 503
    assert "ENCRYPTION_KEYS" in caplog.text
    assert deliver(stranger, endpoint) == 200


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{each.levelname} {each.getMessage()}" for each in caplog.records]


def test_many_refused_deliveries_are_one_line(
    stranger: Client,
    endpoint: WebhookEndpoint,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forged = signature("whsec_other", BODY)
    for _number in range(200):
        assert deliver(stranger, endpoint, HTTP_X_OPENTRAIN_SIGNATURE=forged) == 400
    text = f"WARNING Refused a delivery to webhook endpoint {endpoint.key}: its signature is not valid."
    assert lines(caplog) == [text]
    assert caplog.records[0].__dict__["endpoint"] == str(endpoint.key)
    monkeypatch.setattr(refusals, "LINE_SECONDS", 0)
    refusals._kinds.update({kind: (0.0, count) for kind, (_due, count) in refusals._kinds.items()})
    deliver(stranger, endpoint, HTTP_X_OPENTRAIN_SIGNATURE=forged)
    assert lines(caplog)[1:] == [f"{text} So were 199 more since the last such line."]


def test_each_endpoint_and_reason_has_its_line(
    stranger: Client, endpoint: WebhookEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_endpoint(make_install("globex"))
    for each in (endpoint, other, endpoint, other):
        deliver(stranger, each, HTTP_X_OPENTRAIN_SIGNATURE=signature("whsec_other", BODY))
        deliver(stranger, each, CONTENT_LENGTH="-1")
    assert len(caplog.records) == 4


def test_what_could_not_be_stored_is_an_error_of_django_once_too(
    stranger: Client, endpoint: WebhookEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Django's default logging mails these to the admins."""

    def down(*_statement: object) -> None:
        raise OperationalError

    with connection.execute_wrapper(down):
        assert [deliver(stranger, endpoint) for _number in range(50)] == [503] * 50
    assert [each.name for each in caplog.records] == ["django_opentrain.web.refusals", "django.request"]
    assert {each.levelno for each in caplog.records} == {logging.ERROR}


def test_a_refusal_is_logged_without_what_was_sent(
    stranger: Client, endpoint: WebhookEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        deliver(
            stranger,
            endpoint,
            HTTP_X_OPENTRAIN_SIGNATURE="t=1,v1=planted",
            HTTP_X_OPENTRAIN_DELIVERY="planted",
        )
    assert str(endpoint.key) in caplog.text
    assert "planted" not in caplog.text
    assert "evt_1" not in caplog.text


# Under whatever the host has --------------------------------------------------------------------


def read_body_on_the_way_out(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """As middlewares that log requests do: they find none, since a body holds a Work Email."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        assert request.body == b""
        return response

    return middleware


def read_body_on_the_way_in(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """As middlewares that scan requests do."""

    def middleware(request: HttpRequest) -> HttpResponse:
        assert request.body == BODY
        assert not request.POST
        return get_response(request)

    return middleware


def look_for_a_name_in_the_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """As Label Studio's does: ``in`` on a request reads its body line by line, to the end."""

    def middleware(request: HttpRequest) -> HttpResponse:
        assert request.body == BODY
        assert "server_id" not in request  # type: ignore[operator] # as there
        return get_response(request)

    return middleware


def needs_login(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """What ``LoginRequiredMiddleware`` (Django 5.1 and later) does."""

    class Middleware:
        def __call__(self, request: HttpRequest) -> HttpResponse:
            return get_response(request)

        def process_view(
            self, request: HttpRequest, view: Callable[..., HttpResponse], _args: object, _kwargs: object
        ) -> HttpResponse | None:
            if request.user.is_authenticated or not getattr(view, "login_required", True):
                return None
            return HttpResponse("log in", status=302)

    return Middleware()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as it comes"),
        pytest.param({"MIDDLEWARE": []}, id="no middleware"),
        pytest.param({"MIDDLEWARE": [*settings.MIDDLEWARE, f"{THIS}.needs_login"]}, id="login required"),
        pytest.param({"MIDDLEWARE": [f"{THIS}.read_body_on_the_way_in"]}, id="body read before"),
        pytest.param({"MIDDLEWARE": [f"{THIS}.look_for_a_name_in_the_request"]}, id="body used up"),
        pytest.param({"MIDDLEWARE": [f"{THIS}.read_body_on_the_way_out"]}, id="body read after"),
        pytest.param({"APPEND_SLASH": False}, id="no slash appended"),
        pytest.param({"DATA_UPLOAD_MAX_MEMORY_SIZE": 1}, id="the host takes nothing"),
        pytest.param(
            {"MIDDLEWARE": ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]}, id="compressed"
        ),
    ],
)
@pytest.mark.parametrize("slash", ["/", ""])
def test_it_works_under_any_settings(
    stranger: Client, endpoint: WebhookEndpoint, changes: dict[str, Any], slash: str
) -> None:
    with override_settings(**changes):
        assert deliver(stranger, endpoint, path=f"/opentrain/webhooks/{endpoint.key}{slash}") == 200


@pytest.mark.urls("tests.web.urls_i18n")
@pytest.mark.parametrize("language", ["en", "de"])
def test_it_works_under_i18n_patterns(stranger: Client, endpoint: WebhookEndpoint, language: str) -> None:
    with override_settings(MIDDLEWARE=["django.middleware.locale.LocaleMiddleware", *settings.MIDDLEWARE]):
        assert deliver(stranger, endpoint, path=f"/{language}/opentrain/webhooks/{endpoint.key}/") == 200
    with translation.override(language):
        assert endpoint.expected_url == f"https://annotate.example/en/opentrain/webhooks/{endpoint.key}/"


def test_an_https_site_behind_a_proxy(stranger: Client, endpoint: WebhookEndpoint) -> None:
    secure = {"SECURE_SSL_REDIRECT": True, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}
    with override_settings(**secure):
        assert deliver(stranger, endpoint, HTTP_X_FORWARDED_PROTO="https") == 200
        assert (
            deliver(stranger, endpoint) == 301
        )  # nothing that a view could change: the proxy must say https


def test_it_is_not_wrapped_in_a_transaction(endpoint: WebhookEndpoint) -> None:
    view = resolve(f"/opentrain/webhooks/{endpoint.key}/").func
    assert view._non_atomic_requests == set(connections)  # type: ignore[attr-defined] # what the decorator sets
    assert DEFAULT_DB_ALIAS in view._non_atomic_requests  # type: ignore[attr-defined] # likewise


def test_a_known_endpoint_costs_one_statement(stranger: Client, endpoint: WebhookEndpoint) -> None:
    deliver(stranger, endpoint, b"{}")
    with CaptureQueriesContext(connection) as queries:
        deliver(stranger, endpoint)
    # The savepoint is the test's: outside of a transaction there is none.
    statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
    assert [sql.split()[0] for sql in statements] == ["INSERT"]


def test_a_forged_delivery_costs_none(stranger: Client, endpoint: WebhookEndpoint) -> None:
    deliver(stranger, endpoint)
    with CaptureQueriesContext(connection) as queries:
        assert deliver(stranger, endpoint, HTTP_X_OPENTRAIN_SIGNATURE="t=1,v1=" + "0" * 64) == 400
    assert len(queries) == 0


def test_an_unknown_key_costs_one_statement_for_a_while(stranger: Client, endpoint: WebhookEndpoint) -> None:
    path = f"/opentrain/webhooks/{uuid.uuid4()}/"
    with CaptureQueriesContext(connection) as queries:
        assert [deliver(stranger, endpoint, path=path) for _ in range(3)] == [404, 404, 404]
    assert len(queries) == 1


class NeverEnding(BytesIO):
    """The body of a sender who takes their time: it must not be waited for."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize(
    ("key", "signed", "status"),
    [("unknown", "now", 404), ("known", None, 400), ("known", "long ago", 400), ("known", "badly", 400)],
)
def test_a_body_is_read_only_for_who_may_be_opentrain(
    endpoint: WebhookEndpoint, rf: RequestFactory, key: str, signed: str | None, status: int
) -> None:
    """Two slow requests would hold both threads of a small gunicorn."""
    values = {
        "now": signature(str(endpoint.secret), BODY),
        "long ago": signature(str(endpoint.secret), BODY, age=10_000),
        "badly": "t=now,v1=0",
    }
    request = rf.generic("POST", "/", BODY, "application/json")
    if signed:
        request.META["HTTP_X_OPENTRAIN_SIGNATURE"] = values[signed]
    request._stream = NeverEnding(BODY)
    assert receive(request, endpoint.key if key == "known" else uuid.uuid4()).status_code == status


class InvalidChunk(Exception):  # noqa: N818 - as gunicorn's, which is no OSError
    """The client framed its body badly."""


def test_a_body_that_the_server_can_not_read_is_refused(
    endpoint: WebhookEndpoint, rf: RequestFactory
) -> None:
    class Malformed(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise InvalidChunk

    request = rf.generic("POST", "/", BODY, "application/json", **headers(endpoint))
    request._stream = Malformed(BODY)
    assert receive(request, endpoint.key).status_code == 400


def test_a_removed_endpoint_still_takes_what_is_late(stranger: Client, endpoint: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(status=WebhookEndpoint.Status.REMOVED)
    assert deliver(stranger, endpoint) == 200
