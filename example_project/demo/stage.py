"""The three processes of the demo: OpenTrain's sandbox, the site, and a Celery worker with beat."""

from __future__ import annotations

import importlib.util
import os
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from example_project.demo.backstage import own_database, own_queue
from example_project.demo.browser import TIMEOUT
from example_project.demo.processes import Process, Processes, ProcessFailed, free_port
from example_project.demo.story import eventually, step

#: Beat's tasks run this many times as often, so that the loop takes less than a minute.
PACE: Final = "400"
START: Final = 120.0


@dataclass
class Stage:
    """Where everything is."""

    site: str
    sandbox: str
    mail: Path
    logs: Path


def environment(folder: Path, stack: ExitStack) -> dict[str, str]:
    """The processes' environment: this process's, with what belongs to this run."""
    run = f"opentrain_demo_{uuid.uuid4().hex[:10]}"
    given = dict(os.environ)
    broker_url = given.get("CELERY_BROKER_URL", "filesystem://")
    own = {
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DATA_DIR": str(folder / "data"),
        "CELERY_QUEUE": stack.enter_context(own_queue(broker_url, run)),
        "BEAT_PACE": PACE,
        "EMAIL_HOST": "",
        "PYTHONUNBUFFERED": "1",
    }
    if "DATABASE_URL" in given:
        own["DATABASE_URL"] = stack.enter_context(own_database(given["DATABASE_URL"], run))
    return {**given, **own}


def set_up(processes: Processes, folder: Path) -> Stage:
    """Start all three. Raises ``ProcessFailed`` or ``Unexpected``."""
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    sandbox = _start_sandbox(processes, folder)
    processes.environment |= {"PUBLIC_URL": site, "OPENTRAIN_BASE_URL": sandbox}
    _prepare(processes)
    _start_site(processes, site, port)
    _start_worker(processes, folder)
    return Stage(site, sandbox, folder / "data" / "mail", processes.logs)


def _start_sandbox(processes: Processes, folder: Path) -> str:
    with step("a local OpenTrain starts"):
        sandbox = processes.start(
            "sandbox", "django_opentrain.sandbox", "--port", "0", "--state", str(folder / "opentrain-state")
        )
        return sandbox.wait_for_line("Sandbox OpenTrain at ", START).split()[-1]


def _prepare(processes: Processes) -> None:
    with step("the site's database is made, with a customer and two projects"):
        processes.run("migrate", "django", "migrate", "--verbosity", "0")
        processes.run("seed", "django", "seed")


def _start_site(processes: Processes, site: str, port: int) -> None:
    with step("the site starts"):
        server = processes.start("site", *_server(port))
        eventually(lambda: _answers(site, server), "the site's login page", START)


def _server(port: int) -> list[str]:
    if importlib.util.find_spec("gunicorn") is None:
        return ["django", "runserver", "--noreload", f"127.0.0.1:{port}"]
    workers = ["--workers", "2", "--threads", "4", "--access-logfile", "-"]
    return ["gunicorn", "example_project.wsgi", "--bind", f"127.0.0.1:{port}", *workers]


def _answers(site: str, server: Process) -> bool:
    if server.has_ended:
        raise ProcessFailed("The site's web server ended.")
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(f"{site}/login/", timeout=TIMEOUT).ok
        except (requests.ConnectionError, requests.Timeout):
            return False


def _start_worker(processes: Processes, folder: Path) -> None:
    with step("a Celery worker with beat starts"):
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        schedule = str(folder / "data" / "celery-beat")
        worker = processes.start(
            "worker",
            *["celery", "-A", "example_project.celery", "worker", "--beat", "--schedule", schedule],
            *["--concurrency", "2", "--loglevel", "INFO", *quiet],
        )
        worker.wait_for_line(" ready.", START)


def show_logs(processes: Processes) -> None:
    """Print the end of the logs that show what went wrong."""
    for process in processes.to_blame():
        print(f"\n─── {process.name} ({process.log}) ───\n{process.tail()}", flush=True)
