"""OpenTrain's deliveries, posted to the site's real receiver view by Django's test client."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client, override_settings

from django_opentrain.conf import conf
from django_opentrain.platform.catalog import EVENT_HEADER


class DeliveryFailed(AssertionError):  # noqa: N818 - says what happened
    """The site didn't answer a delivery with a 2xx."""


class TestClientSender:
    """A :data:`~django_opentrain.sandbox.delivery.Sender` without a network. It remembers what failed."""

    __test__ = False  # not a test, whatever pytest makes of its name

    def __init__(self) -> None:
        self._failures: list[str] = []
        self._cause: Exception | None = None

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post one delivery through the middleware and URLs of the site, as a stranger with no cookie would."""
        what = f"{headers[EVENT_HEADER]} to {urlsplit(url).path}"
        try:
            status = self._post(url, headers, body)
        except Exception as error:
            self._failures.append(f"{what}: {type(error).__name__}")
            self._cause = error
            raise
        if not 200 <= status < 300:
            self._failures.append(f"{what}: HTTP {status}")
        return status

    def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        # The test runner adds its own host only; whether the public one is allowed is for the system checks.
        with override_settings(ALLOWED_HOSTS=[*settings.ALLOWED_HOSTS, parts.hostname]):
            response = Client(enforce_csrf_checks=True).generic(
                "POST",
                parts.path.removeprefix(conf.public_path),
                body,
                content_type=headers["Content-Type"],
                secure=parts.scheme == "https",
                headers={**headers, "Host": parts.netloc},
                SCRIPT_NAME=conf.public_path,
            )
        return int(response.status_code)

    def check(self) -> None:
        """Raise ``DeliveryFailed`` for what failed since the last time."""
        failures, self._failures = self._failures, []
        cause, self._cause = self._cause, None
        if failures:
            raise DeliveryFailed("Deliveries failed: " + "; ".join(failures)) from cause
