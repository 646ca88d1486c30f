"""A site of real processes: what each test needs of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import requests

from example_project.demo.backstage import own_database, own_queue
from example_project.demo.processes import Process, Processes
from tests.chaos.ports import Port
from tests.chaos.stage import SETTINGS, worker
from tests.chaos.wire import Wire

POSTGRESQL = "postgres://postgres@127.0.0.1:5432/postgres"
START = 60.0


class Site:
    """The example site in a folder of its own, with a connected customer."""

    def __init__(self, folder: Path, environment: dict[str, str], stack: ExitStack) -> None:
        self.folder = folder
        self.port = stack.enter_context(closing(Port()))
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATA_DIR": str(folder),
            "DATABASE_URL": f"sqlite:///{folder / 'site.sqlite3'}",
            "PUBLIC_URL": self.port.url,
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.processes = Processes(self.environment, folder)
        stack.callback(self.processes.close)
        self.processes.run("migrate", "django", "migrate", "--verbosity", "0")
        self.endpoint = self.ask("connect")

    def ask(self, verb: str) -> Any:
        """What ``scene`` prints."""
        command = [sys.executable, "-m", "tests.chaos.scene", verb]
        done = subprocess.run(command, env=self.environment, capture_output=True, check=True, timeout=START)
        return json.loads(done.stdout.splitlines()[-1])

    def start_web(self) -> None:
        command = ["gunicorn", "example_project.wsgi", "--bind", f"127.0.0.1:{self.port.number}"]
        self.processes.start("web", *command, "--workers", "1", "--threads", "4")
        deadline = time.monotonic() + START
        while not self._answers():
            assert time.monotonic() < deadline, "the site doesn't answer"
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.port.url}/login/", timeout=5).ok
        except requests.RequestException:
            return False

    def start_worker(self) -> Process:
        started = self.processes.start("worker", *worker(1))
        started.wait_for_line(" ready.", START)
        return started

    def deliver(self, number: int) -> tuple[int, float]:
        """Deliver event ``number``; the status, and the seconds that the answer took."""
        event = {"id": str(number), "type": "contract.ended", "resourceId": f"ctr_{number}", "data": {}}
        body = json.dumps(event).encode()
        started = time.monotonic()
        answer = requests.post(self.port.url + self.receiver, body, headers=self.signed(body), timeout=30)
        return answer.status_code, time.monotonic() - started

    @property
    def receiver(self) -> str:
        """The path of the customer's endpoint."""
        return f"/opentrain/webhooks/{self.endpoint['key']}/"

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers with which OpenTrain delivers ``body``."""
        stamp = int(time.time())
        digest = hmac.new(self.endpoint["secret"].encode(), b"%d." % stamp + body, hashlib.sha256)
        return {
            "Content-Type": "application/json",
            "X-OpenTrain-Signature": f"t={stamp},v1={digest.hexdigest()}",
        }


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[MakeSite]:
    """``make_site(**environment)``."""
    with ExitStack() as stack:
        yield lambda **environment: Site(tmp_path, environment, stack)


@pytest.fixture
def wire() -> Iterator[Callable[[int], Wire]]:
    """``wire(port)``: a proxy to a server on this machine."""
    with ExitStack() as stack:

        def make(port: int) -> Wire:
            made = Wire("127.0.0.1", port)
            made.start()
            stack.callback(made.stop)
            return made

        yield make


@pytest.fixture
def queue() -> Iterator[Callable[[str], str]]:
    """``queue(broker_url)``: the name of a queue of the test's own, deleted afterwards."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(own_queue(url, f"opentrain_chaos_{uuid.uuid4().hex[:10]}"))


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a PostgreSQL database of the test's own."""
    with own_database(POSTGRESQL, f"opentrain_chaos_{uuid.uuid4().hex[:10]}") as url:
        yield url
