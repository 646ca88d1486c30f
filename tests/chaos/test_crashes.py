"""A worker that is killed, or that hangs, while the host's code is at work."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from example_project.demo.processes import Process, ProcessFailed
from tests.chaos.conftest import MakeSite, Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TIMEOUT = 60.0
WORK = ["django", "opentrain_work"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    """Its adapter gives access, and then waits for as long as there is a file called ``hold``."""
    environment = {"CHAOS_ADAPTER": "tests.chaos.site.adapter.HeldAdapter"}
    if request.param == "postgresql":
        environment["DATABASE_URL"] = request.getfixturevalue("database")
    return make_site(**environment)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not file.exists():
        assert time.monotonic() < deadline, f"no {file.name}"
        time.sleep(0.05)


def work_until_granted(site: Site) -> None:
    """Run rounds until the killed attempt's trainer is free again (``CALL_LEASE``, shortened to seconds here)."""
    deadline = time.monotonic() + TIMEOUT
    while site.ask("access")["grants"] != ["GRANTED"]:
        assert time.monotonic() < deadline, site.ask("access")
        site.processes.run("work", *WORK, seconds=TIMEOUT)


def test_what_a_killed_worker_was_at_is_done_by_the_next_one(site: Site) -> None:
    """Its half-done work goes with it at once, and its hold on the trainer a short while later."""
    hold, inside = site.folder / "hold", site.folder / "inside"
    hold.touch()
    killed = site.processes.start("work", *WORK)
    wait_for(inside)
    killed.end(0.0)
    site.processes.running.remove(killed)
    assert site.ask("access") == {"grants": ["PENDING"], "accounts": 0, "seats": 0}
    hold.unlink()
    work_until_granted(site)
    assert site.ask("access") == {"grants": ["GRANTED"], "accounts": 1, "seats": 1}


@pytest.mark.parametrize("celery", [False, True], ids=["opentrain_work", "prefork"])
def test_an_adapter_that_ends_its_process_holds_up_no_other_trainer(
    make_site: MakeSite, celery: bool
) -> None:
    site = make_site(CHAOS_ADAPTER="tests.chaos.site.adapter.LethalAdapter")
    site.ask("hire")
    (site.folder / "hold").touch()
    if celery:
        site.start_worker()
        site.start_web()
    deadline = time.monotonic() + TIMEOUT
    number = 0
    while site.ask("access")["grants"][1] != "GRANTED":
        assert time.monotonic() < deadline, site.ask("access")
        number += 1
        if celery:
            assert site.deliver(1_000 + number)[0] == 200, "it wakes the worker"
        else:
            with suppress(ProcessFailed):
                site.processes.start(f"work-{number}", *WORK).wait(TIMEOUT)
    assert (site.folder / "inside").exists(), "the first one's attempt came first"
    assert site.ask("access")["grants"][0] in ("PENDING", "FAILED")
    (site.folder / "hold").unlink()
    while site.ask("access")["grants"] != ["GRANTED", "GRANTED"]:
        assert time.monotonic() < deadline, site.ask("access")
        site.processes.run(f"again-{number}", *WORK, seconds=TIMEOUT)


@pytest.mark.parametrize("workers", [3])
def test_several_workers_at_once_have_one_effect(site: Site, workers: int) -> None:
    running = [site.processes.start(f"work-{number}", *WORK) for number in range(workers)]
    for each in running:
        each.wait(TIMEOUT)
    done: dict[str, Any] = site.ask("access")
    assert done == {"grants": ["GRANTED"], "accounts": 1, "seats": 1}
    assert len((site.folder / "inside").read_text().splitlines()) == 1, "the adapter was called once"


def hanging(make_site: MakeSite, adapter: str) -> tuple[Site, Process]:
    """A site and its Celery worker, which is stuck in the adapter. Its tasks may take two seconds."""
    site = make_site(CHAOS_ADAPTER=f"tests.chaos.site.adapter.{adapter}", CHAOS_TIME_LIMIT="2")
    (site.folder / "hold").touch()
    worker = site.start_worker()
    site.start_web()
    assert site.deliver(1)[0] == 200, "it wakes the worker"
    wait_for(site.folder / "inside")
    return site, worker


def test_host_code_that_hangs_counts_as_failed(make_site: MakeSite) -> None:
    site, _worker = hanging(make_site, "HeldAdapter")
    deadline = time.monotonic() + TIMEOUT
    while site.ask("access") != {"grants": ["FAILED"], "accounts": 0, "seats": 0}:
        assert time.monotonic() < deadline, site.ask("access")


def test_host_code_that_cannot_be_broken_off_is_killed(make_site: MakeSite) -> None:
    """Celery kills the process that runs the task; what it held ends by itself."""
    site, worker = hanging(make_site, "DeafAdapter")
    worker.wait_for_line("Hard time limit", TIMEOUT)
    (site.folder / "hold").unlink()
    work_until_granted(site)
    assert site.ask("access") == {"grants": ["GRANTED"], "accounts": 1, "seats": 1}
