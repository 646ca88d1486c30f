"""Where a run takes place: its processes, and what stands between them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from example_project.demo.backstage import own_database, own_queue
from example_project.demo.opentrain import OpenTrain
from example_project.demo.processes import Process, Processes
from tests.chaos.crew import Crew
from tests.chaos.journal import Journal
from tests.chaos.ports import Port
from tests.chaos.postman import Postman
from tests.chaos.wire import Wire
from tests.mail_servers import Postbox, postbox

SETTINGS: Final = "tests.chaos.site.settings"
#: Brokers by their names, for short.
BROKER_URLS: Final = {
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//",
    "redis": "redis://127.0.0.1:6379/0",
    "filesystem": "filesystem://",
}
#: Beat's tasks run this much more often: a sweep every 2 s, usage 9, endpoints 6, reconcile 36.
PACE: Final = "100"
#: How much faster OpenTrain's clock runs: its retries come after 0.2, 1, 6 and 24 seconds.
SPEED: Final = "300"
GRACE: Final = "12"
START: Final = 120.0
WRITERS: Final = 3
_QUIET: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat")
_DEFAULT_PORTS: Final = {"postgres": 5432, "postgresql": 5432, "amqp": 5672, "redis": 6379}


@dataclass
class Stage:
    """Everything that faults and the story act on."""

    folder: Path
    crew: Crew
    journal: Journal
    opentrain: OpenTrain
    postman: Postman
    broker: Wire | None
    database: Wire | None
    #: To OpenTrain's API, and to the mail server.
    api: Wire
    mail: Wire
    postbox: Postbox
    writers: list[Process]

    @property
    def ledgers(self) -> list[Path]:
        """What the writers wrote down."""
        return sorted(self.folder.glob("ledger-*"))

    @property
    def logs(self) -> list[Path]:
        return sorted((self.folder / "logs").glob("*.log"))

    def start_second_beat(self) -> None:
        if not self.crew.has("beat 2"):
            self.crew.hire("beat 2", *beat(self.folder, 2))


@contextmanager
def stage(folder: Path, broker_url: str, database_url: str) -> Iterator[Stage]:
    """Databases, queues and proxies of this run's own, and this process's environment set to use them.

    The processes are started by :func:`start`, once the caller has set Django up.
    """
    with ExitStack() as stack:
        run = f"opentrain_chaos_{uuid.uuid4().hex[:10]}"
        (folder / "logs").mkdir()
        journal = Journal(folder / "journal.jsonl")
        stack.callback(journal.close)
        web, sandbox = stack.enter_context(closing(Port())), stack.enter_context(closing(Port()))
        postman = Postman(web.number, journal)
        postman.start()
        stack.callback(postman.stop)
        direct_database = _own_database(stack, folder, database_url, run)
        database, database_through = _wire(stack, direct_database)
        broker, broker_through = _wire(stack, broker_url)
        mails = stack.enter_context(postbox())
        mail, api = _local_wire(stack, mails.port), _local_wire(stack, sandbox.number)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": direct_database,
            "CELERY_BROKER_URL": broker_through,
            "CELERY_QUEUE": stack.enter_context(own_queue(broker_url, run)),
            "BEAT_PACE": PACE,
            "OPENTRAIN_REVOKE_GRACE": GRACE,
            "PUBLIC_URL": postman.url,
            "OPENTRAIN_BASE_URL": f"http://127.0.0.1:{api.port}",
            "CHAOS_MAIL_PORT": str(mail.port),
            "PYTHONUNBUFFERED": "1",
        }
        processes = Processes(
            {**os.environ, "DATABASE_URL": database_through, "CHAOS_MORTAL": "1"}, folder / "logs"
        )
        stack.callback(processes.close)
        crew = Crew(processes, journal)
        opentrain = OpenTrain(sandbox.url)
        stack.callback(opentrain.close)
        undisturbed = Processes(dict(os.environ), folder / "logs")
        stack.callback(undisturbed.close)
        undisturbed.run("migrate", "django", "migrate", "--verbosity", "0")
        _start(crew, folder, web, sandbox)
        ledgers = [folder / f"ledger-{number}" for number in range(WRITERS)]
        writers = [
            undisturbed.start(each.name, "tests.chaos.writer", str(each), each.name[-1]) for each in ledgers
        ]
        yield Stage(folder, crew, journal, opentrain, postman, broker, database, api, mail, mails, writers)


def _own_database(stack: ExitStack, folder: Path, url: str, name: str) -> str:
    if url == "sqlite":
        return f"sqlite:///{folder / 'site.sqlite3'}"
    return stack.enter_context(own_database(url, name))


def _wire(stack: ExitStack, url: str) -> tuple[Wire | None, str]:
    """A proxy to the server of ``url``, and the URL that leads through it; none for what are files."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        return None, url
    wire = _started(stack, Wire(parts.hostname or "127.0.0.1", parts.port or _DEFAULT_PORTS[parts.scheme]))
    login = parts.netloc.rpartition("@")[0]
    netloc = f"{login}@127.0.0.1:{wire.port}" if login else f"127.0.0.1:{wire.port}"
    return wire, urlunsplit(parts._replace(netloc=netloc))


def _local_wire(stack: ExitStack, port: int) -> Wire:
    return _started(stack, Wire("127.0.0.1", port))


def _started(stack: ExitStack, wire: Wire) -> Wire:
    wire.start()
    stack.callback(wire.stop)
    return wire


def _start(crew: Crew, folder: Path, web: Port, sandbox: Port) -> None:
    state = str(folder / "opentrain-state")
    server = crew.hire(
        "sandbox",
        *["django_opentrain.sandbox", "--port", str(sandbox.number), "--state", state, "--speed", SPEED],
    )
    server.wait_for_line("Sandbox OpenTrain at ", START)
    crew.hire(
        "web",
        *["gunicorn", "example_project.wsgi", "--bind", f"127.0.0.1:{web.number}"],
        *["--workers", "2", "--threads", "4", "--timeout", "30"],
    )
    workers = [crew.hire(f"worker {number}", *worker(number)) for number in (1, 2)]
    crew.hire("beat 1", *beat(folder, 1))
    for process in workers:
        process.wait_for_line(" ready.", START)


def worker(number: int) -> list[str]:
    """The command of a Celery worker."""
    # Its name is also a queue's, and no two workers at one broker may share it.
    name = f"chaos{number}-{os.getpid()}@%h"
    app = ["celery", "-A", "example_project.celery", "worker"]
    return [*app, "-n", name, "--concurrency", "2", "--loglevel", "INFO", *_QUIET]


def beat(folder: Path, number: int) -> list[str]:
    """The command of a Celery beat."""
    schedule = str(folder / f"beat-{number}")
    return ["celery", "-A", "example_project.celery", "beat", "--schedule", schedule]
