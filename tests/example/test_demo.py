"""The demo: it observes the whole loop, says what failed, and leaves nothing behind."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from example_project.demo.opentrain import OpenTrain
from example_project.demo.people import Customer, Person
from example_project.demo.processes import Process, Processes, ProcessFailed

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO = [sys.executable, "-m", "example_project.demo"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Without servers; what the demo makes is below ``tmp_path``."""
    servers = {"DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE"}
    given = {name: value for name, value in os.environ.items() if name not in servers}
    return {**given, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}


def processes_below(folder: Path) -> list[str]:
    """The command lines of all processes that keep their data below ``folder``."""
    return [
        arguments for process in Path("/proc").glob("[0-9]*") if (arguments := command_line(process, folder))
    ]


def command_line(process: Path, folder: Path) -> str:
    try:
        if f"DATA_DIR={folder}".encode() in (process / "environ").read_bytes():
            return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""  # it has just ended, or is another user's
    return ""


def is_left_alone(folder: Path) -> bool:
    """Whether no process of ``folder``'s is left; one that was killed may take a moment on a busy machine."""
    deadline = time.monotonic() + 10
    while processes_below(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not processes_below(folder)


def test_the_whole_loop_is_observed(environment: dict[str, str], tmp_path: Path) -> None:
    run = subprocess.run(DEMO, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "The whole loop was observed" in run.stdout
    assert run.stdout.count("✓") >= 20
    assert list(tmp_path.iterdir()) == []
    assert is_left_alone(tmp_path)


def test_a_failure_shows_the_log_of_the_process_that_failed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path}/no/such/folder/site.sqlite3"
    run = subprocess.run(DEMO, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "✗ the site's database is made" in run.stdout
    assert "─── migrate (" in run.stdout
    assert "unable to open database file" in run.stdout
    assert is_left_alone(tmp_path)


@contextmanager
def started(environment: dict[str, str], line: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo, once it has printed ``line``. As a script's background job, which a shell has ignore SIGINT."""
    job = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *DEMO, *arguments]
    with subprocess.Popen(job, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            assert any(line in printed for printed in demo.stdout), "the demo ended early"
            yield demo
        finally:
            demo.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_stops_all_processes(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with started(environment, "✓ the site starts") as demo:
        assert any("gunicorn" in each for each in processes_below(tmp_path))
        demo.send_signal(number)
        assert demo.wait(60) == 130
    assert is_left_alone(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_serving_leaves_something_to_look_at(environment: dict[str, str], tmp_path: Path) -> None:
    with started(environment, "Everything keeps running", "--serve") as demo:
        assert demo.stdout is not None
        roles = "".join(itertools.takewhile(lambda line: "Ctrl-C" not in line, demo.stdout))
        addresses = dict(re.findall(r"^  (\S.*?)  +(http://[\d.:]+)/", roles, re.MULTILINE))
        site = addresses["The customer"]
        with closing(OpenTrain(addresses["OpenTrain"])) as opentrain, closing(Customer(site)) as customer:
            (install,) = opentrain.active_installs()
            assert len(opentrain.links(install["id"])) == 2
            budgets = opentrain.state()["budgets"].values()
            assert "LOW" in {budget["state"] for budget in budgets}
            customer.log_in("customer", "customer")
            customer.open(f"{site}/opentrain/").expect(
                "Connected",
                "The budget of 1 contract is running low.",
                "A trainer objects to 1 day of work.",
                "Waiting for a Work Email",
            )
            assert customer.call("GET", f"{site}/opentrain/health/")["status"] == "ok"
        ((address, password),) = re.findall(r"^  Lea M\. .*\((\S+) / (\w+)\)", roles, re.MULTILINE)
        with closing(Person(site)) as lea:
            lea.log_in(address, password)
            lea.open(f"{site}/opentrain/work/").expect(
                "Topics of support tickets", "25 of 30 funded hours used"
            )
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(60) == 130
    assert is_left_alone(tmp_path)


class TestProcesses:
    """A process that doesn't want to end, and one that ended unasked."""

    STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
time.sleep(600)
"""

    @pytest.fixture
    def processes(self, tmp_path: Path) -> Iterator[Processes]:
        (tmp_path / "stubborn.py").write_text(self.STUBBORN)
        (tmp_path / "brief.py").write_text("raise SystemExit('no time for this')")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "DATA_DIR": str(tmp_path)}
        before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
        processes = Processes(environment, tmp_path)
        yield processes
        processes.close()
        for number, handler in before:
            signal.signal(number, handler)

    def test_it_is_killed_with_its_children(
        self, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("example_project.demo.processes.TIMEOUT", 0.5)
        processes.start("stubborn", "stubborn").wait_for_line("ready", 30)
        assert len(processes_below(tmp_path)) == 2
        processes.close()
        assert is_left_alone(tmp_path)

    def test_it_is_to_blame(self, processes: Processes) -> None:
        stubborn = processes.start("stubborn", "stubborn")
        brief = processes.start("brief", "brief")
        with pytest.raises(ProcessFailed, match="brief ended with status 1"):
            brief.wait_for_line("ready", 30)
        assert processes.to_blame() == [brief]
        assert "no time for this" in brief.tail()
        assert not stubborn.has_ended

    @pytest.mark.timeout(30)
    def test_whoever_watches_is_told_when_one_ends(self, processes: Processes) -> None:
        processes.start("stubborn", "stubborn")
        processes.start("brief", "brief")
        with pytest.raises(ProcessFailed, match="brief ended with status 1"):
            processes.watch()

    def test_one_that_takes_too_long_has_failed(self, processes: Processes) -> None:
        slow: Process = processes.start("stubborn", "stubborn")
        with pytest.raises(ProcessFailed, match="didn't end within"):
            slow.wait(0.1)
