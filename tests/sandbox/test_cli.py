"""The sandbox as a process: start, stop, kill, resume."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.management import call_command
from django.test import override_settings

from django_opentrain.management.commands import opentrain_sandbox
from django_opentrain.platform.catalog import API_PATH
from django_opentrain.sandbox import cli
from django_opentrain.sandbox.readings import described
from django_opentrain.sandbox.sandbox import DEFAULT_APP_SLUG

ROOT = Path(__file__).parents[2]


class Process:
    """``python -m django_opentrain.sandbox`` on a free port, without Django's settings."""

    def __init__(self, *arguments: str) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "django_opentrain.sandbox", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
        )
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        found = re.fullmatch(r"Sandbox OpenTrain at (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line + self.end(signal.SIGKILL)[1]
        self.url = found[1]

    def do(self, verb: str, **body: Any) -> Any:
        response = requests.post(f"{self.url}/control/api/{verb}", json=body, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()

    def state(self) -> Any:
        return requests.get(f"{self.url}/control/api/state", timeout=10).json()

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Signal it; its exit status and what it said on stderr."""
        self.popen.send_signal(number)
        _, errors = self.popen.communicate(timeout=20)
        return self.popen.returncode, errors


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start_one(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield start_one
    for each in started:
        if each.popen.poll() is None:
            each.end(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(start: Callable[..., Process], number: signal.Signals) -> None:
    process = start(
        *("--app-slug", "mine", "--redirect-uri", "https://mine.test/base", "--speed", "60"),
        *("--reading", "created=200", "--reading", "event-ids=prefixed"),
    )
    with requests.Session() as idle:
        state = idle.get(f"{process.url}/control/api/state", timeout=10).json()
        assert state["speed"] == 60
        assert state["apps"][0]["slug"] == "mine"
        assert "https://mine.test/base" in state["apps"][0]["redirectUris"]
        process.do("approve")
        assert process.do("emit", type="install.revoked")["event"]["id"] == "evt_1"
        assert process.end(number) == (0, "")


@pytest.mark.slow
def test_what_was_answered_survives_kill_9(start: Callable[..., Process], tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path / "state"))
    process = start(*arguments)
    token = process.do("approve")["token"]
    answered: list[str] = []

    def create_jobs() -> None:
        try:
            while True:
                answered.append(process.do("create_job", title=f"Job {len(answered)}")["job"]["id"])
        except requests.RequestException:
            return  # killed

    for _ in range(3):
        thread = threading.Thread(target=create_jobs)
        thread.start()
        time.sleep(random.uniform(0.1, 0.4))
        assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
        thread.join()
        process = start(*arguments)
        kept = [each["id"] for each in process.state()["jobs"]]
        assert [each for each in kept if each in set(answered)] == answered
        assert len(kept) - 2 - len(answered) <= 3  # at most one unanswered for each kill
    assert answered
    headers = {"Authorization": f"Bearer {token}"}
    response = requests.get(f"{process.url}{API_PATH}/installs/current", headers=headers, timeout=10)
    assert response.status_code == 200


@pytest.mark.slow
def test_pending_deliveries_and_the_clock_go_on_after_kill_9(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    arguments = ("--state", str(tmp_path / "state"))
    process = start(*arguments)
    headers = {"Authorization": f"Bearer {process.do('approve')['token']}"}
    endpoint = {"url": "http://127.0.0.1:9/", "eventTypes": ["install.revoked"]}
    requests.post(f"{process.url}{API_PATH}/webhook-endpoints", json=endpoint, headers=headers, timeout=10)
    process.do("emit", type="install.revoked")
    attempts(process, 1)
    process.end(signal.SIGKILL)
    process = start(*arguments)
    assert attempts(process, 1)["status"] == "PENDING"
    process.do("advance", seconds=60)
    attempts(process, 2)
    later = process.state()["now"]
    process.end(signal.SIGKILL)
    assert start(*arguments).state()["now"] > later


def attempts(process: Process, count: int) -> Any:
    """The one delivery, once it was attempted so often."""
    deadline = time.monotonic() + 10
    while True:
        (delivery,) = process.state()["deliveries"]
        if len(delivery["attempts"]) == count:
            return delivery
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_says_why_it_can_not_start(
    start: Callable[..., Process], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = start().url.rpartition(":")[2]
    assert cli.main(["--port", port]) == 1
    assert "can't start" in capsys.readouterr().err
    damaged = tmp_path / "state"
    damaged.write_text("x\n")
    assert cli.main(["--port", "0", "--state", str(damaged)]) == 1
    assert "not a sandbox's state" in capsys.readouterr().err


def test_a_second_one_by_mistake_leaves_the_firsts_state_alone(
    start: Callable[..., Process], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state")
    first = start("--state", state)
    assert cli.main(["--port", first.url.rpartition(":")[2], "--state", state]) == 1
    assert "Address already in use" in capsys.readouterr().err
    first.do("create_job", title="After the mistake")
    first.end(signal.SIGKILL)
    assert start("--state", state).state()["jobs"][-1]["title"] == "After the mistake"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--speed", "-1"),
        ("--speed", "inf"),
        ("--speed", "nan"),
        ("--speed", "fast"),
        ("--port", "-1"),
        ("--port", "65536"),
        ("--port", "http"),
        ("--app-slug", "My App"),
        ("--app-slug", "x" * 51),
        ("--reading", "created=202"),
        ("--reading", "colour=red"),
        ("--redirect-uri", "label.example/opentrain"),
        ("--redirect-uri", "ftp://label.example/"),
        ("--redirect-uri", "https://label.example/#x"),
    ],
)
def test_impossible_options(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([option, value])
    assert f"argument {option}" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_this_process(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    timer = threading.Timer(0.3, signal.raise_signal, [number])
    timer.start()
    try:
        call_command("opentrain_sandbox", "--port", "0")
    finally:
        timer.join()
        for each, handler in before.items():
            signal.signal(each, handler)
    assert capsys.readouterr().out.startswith("Sandbox OpenTrain at http://127.0.0.1:")


def test_help_has_a_line_for_each_reading() -> None:
    command = opentrain_sandbox.Command().create_parser("manage.py", "opentrain_sandbox")
    lines = [line.strip() for line in command.format_help().splitlines()]
    assert [line for line in lines if line in set(described())] == list(described())


@override_settings(OPENTRAIN={"APP_SLUG": "mine", "PUBLIC_URL": "https://mine.test"})
def test_the_management_command_knows_this_sites_app() -> None:
    parser = opentrain_sandbox.Command().create_parser("manage.py", "opentrain_sandbox")
    options = parser.parse_args([])
    assert (options.app_slug, options.redirect_uri) == ("mine", ["https://mine.test"])
    options = parser.parse_args(["--app-slug", "other", "--redirect-uri", "https://other.test"])
    assert (options.app_slug, options.redirect_uri) == ("other", ["https://mine.test", "https://other.test"])


@override_settings(OPENTRAIN={})
def test_the_management_command_needs_no_settings() -> None:
    options = opentrain_sandbox.Command().create_parser("manage.py", "opentrain_sandbox").parse_args([])
    assert (options.app_slug, options.redirect_uri) == (DEFAULT_APP_SLUG, [])


def test_the_management_command_passes_failure_on(tmp_path: Path) -> None:
    damaged = tmp_path / "state"
    damaged.write_text("x\n")
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit, match="1"):
            call_command("opentrain_sandbox", "--state", str(damaged))
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
