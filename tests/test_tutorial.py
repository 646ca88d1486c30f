"""The tutorial, followed to the letter: its blocks in a new environment, its clicks by browsers without a screen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from example_project.demo.browser import Browser, Page
from example_project.demo.opentrain import OpenTrain
from example_project.demo.people import Customer
from example_project.demo.processes import free_port
from example_project.demo.story import eventually

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / "docs" / "tutorial" / "first-trainer.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## \d+\. ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh|python|html)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|<!--) ([\w/]+\.\w+)(?:, (before|from) Django 6\.1(?: on)?)?(?: -->)?\n")
PASSWORD = "a password that I keep"
SITE, SANDBOX = "127.0.0.1:8000", "127.0.0.1:8800"
#: Seconds, on a machine that is busy with other tests.
TIMEOUT = 600


class Follower:
    """Someone who follows the tutorial, in ``folder``."""

    def __init__(self, folder: Path, wheel: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.site, self.sandbox = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        constraint = folder.parent / "constraint.txt"
        constraint.write_text(f"django-opentrain @ {wheel.as_uri()}\n", encoding="utf-8")
        ours = ("PYTHON", "DJANGO", "COVERAGE", "COV_", "VIRTUAL_ENV", "PYTEST")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment: dict[str, str] = {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PIP_CONSTRAINT": str(constraint),
            "PYTHONUNBUFFERED": "1",
        }

    def do(self, text: str) -> None:
        """Everything in a section: run its commands, add to its files."""
        for language, block in BLOCK.findall(text):
            here = block.replace(SITE, self.site).replace(SANDBOX, self.sandbox)
            if language == "sh":
                self.run(here)
            else:
                self.add(here)

    def run(self, commands: str) -> None:
        left = self.folder.parent / "environment"
        script = f"set -euo pipefail\n{commands}\nenv -0 > {left}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        pairs = left.read_bytes().decode().rstrip("\0").split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs)

    def add(self, block: str) -> None:
        named = FILE.match(block)
        assert named is not None, block
        file = self.folder / named[1]
        if named[2] not in (None, self.usual()):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(block)

    def usual(self) -> str:
        """For which versions of Django a block is; a new project of Django 6.1 has the setting MAILERS."""
        settings = (self.folder / "mysite" / "settings.py").read_text(encoding="utf-8")
        return "from" if "MAILERS" in settings else "before"

    def start(self, command: str) -> Path:
        """One of the three processes; returns the file of what it prints."""
        log = self.folder.parent / f"{command.split()[2]}.log"
        opened = self.stack.enter_context(log.open("wb"))
        self.stack.enter_context(running(command.split(), self.folder, self.environment, opened))
        return log


@contextmanager
def running(
    command: list[str], folder: Path, environment: Mapping[str, str], log: IO[bytes]
) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield
    finally:
        # With its group: ``runserver`` has a process of its own for reloading.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wheel_of(folder: Path) -> Path:
    """The package, as it is installed by ``pip install django-opentrain``."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def answers(person: Customer, url: str) -> bool:
    try:
        return person.open(url).status > 0
    except OSError:
        return False


def start(reader: Follower, section: str) -> Path:
    """The three processes; returns the file of what the last one prints."""
    sandbox, runserver, work = (block.strip() for _language, block in BLOCK.findall(section))
    reader.start(f"{sandbox} --port {reader.sandbox.partition(':')[2]}")
    reader.start(f"{runserver} {reader.site}")
    return reader.start(work)


def connect(customer: Customer) -> Page:
    customer.open(f"{customer.site}/opentrain/")
    customer.submit(customer.page.form("username", "password"), username="customer", password="customer")
    customer.ask_to_connect()
    return customer.return_with(customer.approve())


def hire(customer: Customer, sandbox: str, job_id: str) -> None:
    """By OpenTrain's control page."""
    customer.open(f"http://{sandbox}/")
    forms = [form for form in customer.page.forms if form.fields.get("jobId") == job_id]
    customer.submit(forms[0], name="Maria S.")


class Maria(Browser):
    """The trainer, who has nothing but her mail."""

    def __init__(self, mails: Path) -> None:
        super().__init__()
        self._mails = mails

    def finds(self, pattern: str) -> str:
        found = re.search(pattern, self._mails.read_text(encoding="utf-8"))
        return found[1] if found else ""

    @property
    def link(self) -> str:
        return self.finds(r"(http://\S+/set-password/\S+)")

    def choose_password(self) -> None:
        self.open(self.link)
        self.submit(self.page.form("new_password1"), new_password1=PASSWORD, new_password2=PASSWORD)
        self.open(self.page.links["Sign in"])

    def log_in(self) -> Page:
        """Returns the page to which the way leads."""
        username = self.finds(r"username: (\S+)")
        return self.submit(self.page.form("username", "password"), username=username, password=PASSWORD)


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT)
def test_the_tutorial_leads_to_a_trainer_who_labels(tmp_path: Path) -> None:
    sections = dict(SECTION.findall(DOCUMENT))
    folder = tmp_path / "site"
    folder.mkdir()
    with ExitStack() as stack:
        reader = Follower(folder, wheel_of(tmp_path / "wheel"), stack)
        *before, processes = list(sections.items())[:7]
        assert processes[0] == "Start three processes"
        for _title, text in before:
            reader.do(text)
        mails = start(reader, processes[1])
        opentrain = stack.enter_context(closing(OpenTrain(f"http://{reader.sandbox}")))
        customer = stack.enter_context(closing(Customer(f"http://{reader.site}")))
        maria = stack.enter_context(closing(Maria(mails)))
        for url in (f"http://{reader.site}/", f"http://{reader.sandbox}/"):
            eventually(partial(answers, customer, url), f"an answer of {url}")
        connect(customer)
        (job,) = [each for each in opentrain.state()["jobs"] if each["title"] == "Street scene boxes"]
        customer.link("Customer feedback", job["id"])
        hire(customer, reader.sandbox, job["id"])
        eventually(lambda: maria.link, "the mail with Maria's link")
        maria.choose_password()
        page = maria.log_in().expect("I love it.")
        for choice in ("positive", "negative", "positive"):
            maria.submit(maria.page.form("text"), button=choice)
        maria.page.expect("All texts are labelled.")
        (contract,) = opentrain.state()["contracts"]
        reader.do(sections["See the work, and end the contract"])
        eventually(lambda: opentrain.labels_reported(contract["id"]) == 3, "three labels on OpenTrain")
        customer.open(f"http://{reader.site}/opentrain/").expect("Maria S.")
        opentrain.do("end", contractId=contract["id"])
        eventually(lambda: maria.open(page.url).url != page.url, "Maria logged out")
        maria.log_in().expect("Please enter a correct username and password")
