"""No secret is in a local variable of any frame, wherever a time limit or a shutdown stops us: error reporters print
them all. Each call of a function is such a place.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, TypeVar

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, transaction
from django.db.models import Model
from django.test import override_settings
from django.utils import timezone

from django_opentrain import crypto
from django_opentrain.conf import conf
from django_opentrain.crypto import SecretBytes, SecretStr
from django_opentrain.errors import MailError, ServiceError
from django_opentrain.models import AccessGrant, Install, WebhookEndpoint, WebhookEvent
from django_opentrain.platform import signing
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.pasted import unwrapped
from django_opentrain.platform.payloads import Event
from django_opentrain.services import access
from django_opentrain.services.access import bindings, grants, invitations
from django_opentrain.services.purge import key_rotation
from tests.factories import (
    make_contract,
    make_endpoint,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_user,
)
from tests.mail_servers import postbox, send_by
from tests.platform.scripted_server import ScriptedServer, serving
from tests.testing.hosts import GroupAdapter

M = TypeVar("M", bound=Model)

SECRET = "correct-horse"
#: Where Django and this test's own stop would get into each other's way, and where it would leave a lock locked:
#: a connection pool's, which the garbage collector empties, waits for one forever.
LEFT_ALONE = (
    "/tests/",
    "/db/",
    "/contextlib.py",
    "importlib",
    "/utils/functional.py",
    "/queue.py",
    "/threading.py",
    "/logging/",
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving() as running:
        yield running


class Stopper:
    """Raises in the n-th function that is called, or returns."""

    def __init__(self, place: int, stop: type[BaseException]) -> None:
        self.place, self.stop, self.passed = place, stop, 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if any(name in frame.f_code.co_filename for name in LEFT_ALONE):
            return None
        frame.f_trace_lines = False
        if event in ("call", "return"):
            self.passed += 1
            if self.passed == self.place:
                raise self.stop
        return self


def safe_repr(value: object) -> str:
    try:
        return repr(value).replace("\n", " ")
    except Exception as error:  # noqa: BLE001 - of what is half made
        return type(error).__name__


def shown(error: BaseException) -> str:
    """The local variables of all frames but the tests', also of what was raised before."""
    frames: list[str] = []
    for each in raised(error):
        walked = [frame for frame, _line in traceback.walk_tb(each.__traceback__)]
        ours = [frame for frame in walked if "/tests/" not in frame.f_code.co_filename]
        frames += [
            f"{frame.f_code.co_name}: {safe_repr(value)}"
            for frame in ours
            for value in frame.f_locals.values()
        ]
    return "\n".join(frames)


def raised(error: BaseException | None) -> Iterator[BaseException]:
    """It, and what it was raised from or during."""
    if error is not None:
        yield error
        yield from raised(error.__cause__)
        if error.__context__ is not error.__cause__:
            yield from raised(error.__context__)


def leaks(call: Callable[[], object], stop: type[BaseException], stride: int = 1) -> set[str]:
    """The frames that show the secret, wherever ``call`` is stopped."""
    found: set[str] = set()
    call()  # what is imported or cached once is not stopped
    for place in range(1, 100_000, stride):
        stopper, before = Stopper(place, stop), sys.gettrace()
        sys.settrace(stopper)
        try:
            call()
        except (stop, MailError) as error:
            sys.settrace(before)
            found |= {line.partition(":")[0] for line in shown(error).splitlines() if SECRET in line}
        finally:
            sys.settrace(before)
        if stopper.passed < place:
            assert place > 1, "nothing was stopped"
            return found
    raise AssertionError("it has more places")


stops = pytest.mark.parametrize("stop", [SystemExit, SoftTimeLimitExceeded])
# A connection that was being made is left to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


@stops
def test_a_call_of_opentrain(server: ScriptedServer, stop: type[BaseException]) -> None:
    participant = {"opentrainUserId": "u", "workEmail": f"{SECRET}@opentrain.work"}
    for _answer in range(4000):
        server.answers(200, {"participants": [participant]})

    def call() -> None:
        PlatformClient(server.url, SecretStr(SECRET), max_retries=0).list_participants("ctr_1")

    found = leaks(call, stop, 17)
    gc.collect()
    assert found == set()


@stops
def test_a_signature(stop: type[BaseException]) -> None:
    body = SecretBytes(f'"{SECRET}"'.encode())
    header = signing.sign(SECRET, body, int(time.time()))
    assert leaks(lambda: signing.verify(SecretStr(SECRET), header, body), stop) == set()


@stops
def test_a_pasted_token(stop: type[BaseException]) -> None:
    pasted = SecretStr(f"\u201cot_ptk_{SECRET}\u201d")
    assert leaks(lambda: SecretStr(unwrapped(pasted)), stop) == set()


@stops
def test_a_webhooks_body(stop: type[BaseException]) -> None:
    body = SecretBytes(json.dumps({"id": "1", "data": {"workEmail": SECRET}}).encode())
    assert leaks(lambda: Event.from_body(body), stop) == set()


class LinkingAdapter(GroupAdapter):
    """With a page of its own."""

    def set_password_url(self, user: Any) -> str:
        return f"https://site.example/{SECRET}/"


@pytest.fixture
def post(settings: Any) -> Iterator[None]:
    with postbox() as box:
        send_by(settings, box.port)
        yield


@pytest.mark.long
@stops
@pytest.mark.django_db
@pytest.mark.usefixtures("post")
def test_the_mail_with_a_login_link(stop: type[BaseException]) -> None:
    user = make_user()

    def call() -> None:
        assert LinkingAdapter().invite(user)

    assert leaks(call, stop, 97) == set()


def test_an_encryption_key(settings: Any) -> None:
    """One of them can't be used; all of them were read."""
    settings.OPENTRAIN = {"ENCRYPTION_KEYS": [crypto.generate_key(), f"{SECRET}="]}
    with pytest.raises(ImproperlyConfigured) as caught:
        crypto.seal(b"", b"")
    assert not any(key in shown(caught.value) for key in settings.OPENTRAIN["ENCRYPTION_KEYS"])
    with pytest.raises(ImproperlyConfigured) as caught:
        _ = conf.app_slug
    assert not any(key in shown(caught.value) for key in settings.OPENTRAIN["ENCRYPTION_KEYS"])


@stops
def test_what_is_decrypted(stop: type[BaseException], settings: Any) -> None:
    sealed = crypto.seal(SecretBytes(SECRET.encode()), b"here")
    assert leaks(lambda: crypto.decrypt(sealed, b"here"), stop) == set()
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [SECRET.ljust(43, "A") + "="]}

    def call() -> None:
        crypto._keys.cache_clear()
        crypto.seal(b"", b"")

    assert leaks(call, stop) == set()


# What the database refuses, or a stop in its call ---------------------------------------------


@dataclass
class Hired:
    """A trainer whose Work Email and account are named by the secret, and two keepers of secrets."""

    install: Install
    endpoint: WebhookEndpoint
    grant: AccessGrant

    def give(self) -> None:
        access.converge(self.grant, reassert=True)
        invitations.send_due()

    def follow(self) -> None:
        access.converge(self.grant)
        self.new_email("second")
        access.converge(self.grant)

    def new_email(self, name: str) -> None:
        participant = self.grant.participant
        participant.work_email = f"{name}-{SECRET}@opentrain.work"
        participant.email_changed_at = timezone.now()
        participant.save()
        grants.email_arrived(participant)

    def take(self) -> None:
        access.converge(self.grant)
        grants.revoke(AccessGrant.objects.all(), "operator")
        access.converge(self.grant)

    def bind(self) -> None:
        bindings.bind(self.grant, "operator")

    def resend(self) -> None:
        access.converge(self.grant)
        invitations.resend(self.grant)

    def save_rows(self) -> None:
        self.install.token = self.endpoint.secret = SECRET
        self.new_email("third")
        for row in (self.install, self.endpoint):
            row.save()
        event = WebhookEvent(endpoint=self.endpoint, body=SECRET.encode(), received_at=timezone.now())
        event.digest = "0" * 64
        event.save()

    def rotate(self) -> None:
        self.save_rows()
        with override_settings(
            OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": [NEW_KEY, *conf.encryption_keys]}
        ):
            key_rotation.rotate()


NEW_KEY = crypto.generate_key()


@pytest.fixture
def hired(settings: Any) -> Hired:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.LinkingAdapter"}
    install = make_install("acme")
    link = make_link(install, external_project_id="1")
    person = make_participant(install, work_email=f"{SECRET}@opentrain.work")
    grant = make_grant(make_contract(install, [link]), link, person, state="PENDING", host_user_ref="")
    return Hired(install, make_endpoint(install), grant)


@pytest.mark.django_db
@pytest.mark.parametrize("stop", [OperationalError, SystemExit, SoftTimeLimitExceeded])
@pytest.mark.parametrize(
    "act",
    [
        Hired.give,
        Hired.follow,
        Hired.take,
        Hired.bind,
        Hired.resend,
        Hired.save_rows,
        Hired.rotate,
    ],
)
@pytest.mark.slow
def test_a_statement(hired: Hired, act: Callable[[Hired], None], stop: type[BaseException]) -> None:
    found: set[str] = set()
    for place in range(1, 1000):
        failing = FailingStatement(place, stop)
        with transaction.atomic():
            if act is Hired.bind:
                make_user(f"{SECRET}@opentrain.work", email=f"{SECRET}@opentrain.work")
            try:
                with connection.execute_wrapper(failing):
                    act(hired)
            except (stop, ServiceError) as error:
                found |= {line.partition(":")[0] for line in shown(error).splitlines() if SECRET in line}
            transaction.set_rollback(True)
        hired = replace(
            hired, install=fresh(hired.install), endpoint=fresh(hired.endpoint), grant=fresh(hired.grant)
        )
        if failing.passed < place:
            assert place > 5, "nothing failed"
            break
    assert found == set()


class FailingStatement:
    """Fails at the n-th statement of the database."""

    def __init__(self, place: int, error: type[BaseException]) -> None:
        self.place, self.error, self.passed = place, error, 0

    def __call__(self, execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            self.passed += 1
            if self.passed == self.place:
                raise self.error
        return execute(sql, *more)


def fresh(row: M) -> M:
    again: M = type(row)._default_manager.get(pk=row.pk)
    return again


@pytest.mark.skipif(not importlib.util.find_spec("sentry_sdk"), reason="sentry-sdk is not installed")
def test_what_sentry_sends_of_a_worker() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.sentry_worker"],
        env={**os.environ, "TEST_DATABASE": "sqlite"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    sent: dict[str, list[Any]] = json.loads(run.stdout)
    assert "SECRET" in json.dumps(sent.pop("control"))
    assert "SECRET" not in json.dumps(sent)
    stopped = [json.dumps(events) for name, events in sent.items() if "stopped" in name]
    assert len(stopped) == 4
    assert all("SoftTimeLimitExceeded" in events for events in stopped)
