"""A site with Sentry's real SDK in its default options; prints, as JSON, what would be sent for failing deliveries.

A process of its own: the SDK patches Django for good.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import django
import sentry_sdk
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.test.utils import setup_test_environment
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

sent: list[Any] = []


class Keep(Transport):
    """In place of the one that sends."""

    def capture_envelope(self, envelope: Envelope) -> None:
        sent.extend(item.payload.json for item in envelope.items)


def read_body(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that reads the body before the view does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        assert request.body
        return get_response(request)

    return middleware


@contextmanager
def database_down() -> Iterator[None]:
    def down(_execute: object, _sql: str, *_rest: object) -> None:
        raise OperationalError

    with connection.execute_wrapper(down):
        yield


def failures() -> dict[str, Callable[[], AbstractContextManager[Any]]]:
    store = "django_opentrain.services.inbox.deliveries.store"
    keys = {"ENCRYPTION_KEYS": ["x" * 43 + "="], "MAX_WEBHOOK_BYTES": 262144}
    return {
        "database down": database_down,
        "a bug": lambda: mock.patch(store, side_effect=RuntimeError("a bug")),
        "lost key": lambda: override_settings(OPENTRAIN={**settings.OPENTRAIN, **keys}),
        "no key": lambda: override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": []}),
        "control": database_down,
        "too long": lambda: override_settings(OPENTRAIN={**settings.OPENTRAIN, "MAX_WEBHOOK_BYTES": 5}),
    }


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Keep)
    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0)

    from django_opentrain.services.inbox import receiving
    from django_opentrain.web import refusals
    from django_opentrain.web.views import receiver
    from tests.factories import make_endpoint, make_install
    from tests.web.deliveries import deliver

    endpoint = make_endpoint(make_install())
    body = json.dumps({"id": "1", "data": {"freelancer": {"workEmail": "SECRET@opentrain.work"}}}).encode()
    found: dict[str, list[Any]] = {}
    client = Client(raise_request_exception=False)

    def report(name: str, middleware: list[str]) -> None:
        sent.clear()
        receiving._known_endpoints.clear()
        refusals._kinds.clear()
        with override_settings(MIDDLEWARE=middleware), failures()[name]():
            deliver(client, endpoint, body)
        found[f"{name}; {middleware}"] = list(sent)

    for name in failures().keys() - {"control"}:
        report(name, [])
        report(name, [f"{__spec__.name}.read_body"])
    # Where the body stays with the request, the SDK sends it.
    with mock.patch.object(receiver, "_taken_body", lambda request: request):
        report("control", [])
    print(json.dumps(found))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
