"""No secret is in a local variable of any frame, wherever a time limit or a shutdown stops us: error reporters print
them all. Each call of a function is such a place.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.crypto import SecretBytes, SecretStr
from django_opentrain.errors import MailError
from django_opentrain.platform import signing
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.payloads import Event
from tests.factories import make_user
from tests.platform.scripted_server import ScriptedServer, serving

SECRET = "correct-horse"
#: Where Django and this test's own stop would get into each other's way.
LEFT_ALONE = ("/tests/", "/db/", "/contextlib.py", "importlib")


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


def shown(error: BaseException | None) -> str:
    """The local variables of all frames but the tests', also of what was raised before."""
    frames: list[str] = []
    while error is not None:
        walked = [frame for frame, _line in traceback.walk_tb(error.__traceback__)]
        ours = [frame for frame in walked if "/tests/" not in frame.f_code.co_filename]
        frames += [
            f"{frame.f_code.co_name}: {safe_repr(value)}"
            for frame in ours
            for value in frame.f_locals.values()
        ]
        error = error.__context__
    return "\n".join(frames)


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
def test_a_webhooks_body(stop: type[BaseException]) -> None:
    body = SecretBytes(json.dumps({"id": "1", "data": {"workEmail": SECRET}}).encode())
    assert leaks(lambda: Event.from_body(body), stop) == set()


class LinkingAdapter(DjangoUsersAdapter):
    """With a page of its own."""

    def set_password_url(self, user: Any) -> str:
        return f"https://site.example/{SECRET}/"


@stops
@pytest.mark.django_db
def test_the_mail_with_a_login_link(stop: type[BaseException], settings: Any) -> None:
    user = make_user()
    assert leaks(lambda: LinkingAdapter().invite(user), stop, 41) == set()
