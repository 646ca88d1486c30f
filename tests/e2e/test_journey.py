"""The whole way, by clicking, as customer, trainer and operator: the example's site, a worker, and the sandbox, each
a process of its own. Forms are filled in by the keyboard. axe looks at each page, at two widths and in both themes.
"""

from __future__ import annotations

import email
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from example_project.demo.processes import Processes
from example_project.demo.stage import Stage, environment, set_up
from tests.e2e.axe import check_looks
from tests.e2e.browser import Browser, chromium

PASSWORD = "correct horse battery staple"
SECONDS = 60.0
#: Django's admin names no icon; and who types before a page is there keeps the focus.
HARMLESS = ("/favicon.ico", "Autofocus processing was blocked")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


class Person:
    """A browser of their own."""

    #: Selectors of what others made of the pages.
    not_ours: tuple[str, ...] = ()

    def __init__(self, browser: Browser, stage: Stage) -> None:
        self.browser, self.stage = browser, stage

    @property
    def text(self) -> str:
        return self.browser.text

    def sees(self, *texts: str, at: str = "") -> None:
        """Wait for it; with ``at``: look there, again and again, as a reader who reloads."""
        deadline = time.monotonic() + SECONDS
        while not all(text in self.text for text in texts):
            assert time.monotonic() < deadline, f"{texts} not in: {self.text}"
            time.sleep(0.3)
            if at:
                self.open(at)

    def open(self, path: str) -> None:
        self.browser.open(f"{self.stage.site}{path}")

    def log_in(self, username: str, password: str) -> None:
        self.open("/login/")
        self.browser.type_into("Username", username)
        self.browser.type_into("Password", password)
        self.browser.enter("Log in")

    def looks_right(self) -> None:
        complaints = self.browser.complaints()
        assert [each for each in complaints if not any(words in each for words in HARMLESS)] == []
        check_looks(self.browser, self.not_ours)
        # axe's own: it tries out styles.
        self.browser.complaints()


class Operator(Person):
    """At Django's admin, whose frame is Django's."""

    not_ours = (".breadcrumbs", "#header", "#nav-sidebar", "#toolbar", ".inline-group thead")


class OpenTrainPage(Person):
    """The sandbox's control page: what happens on OpenTrain."""

    def open(self, path: str = "/") -> None:
        self.browser.open(f"{self.stage.sandbox}{path}")

    def do(self, verb: str, near: str = "", **values: str) -> None:
        """Fill in a form of this verb, in the row that has these words, and send it."""
        self.open()
        form = f"//form[starts-with(@action, '/control/{verb}?')]"
        if near:
            form = f"(//*[self::tr or self::li or self::article][contains(., '{near}')]{form})[1]"
        for name, value in values.items():
            field = self.browser.tab_to(f"{form}//*[@name='{name}']")
            if field.tag_name == "input":
                field.clear()
            field.send_keys(value)
        self.browser.press_element(f"{form}//button")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("journey")
    (folder / "logs").mkdir()
    with ExitStack() as stack:
        processes = Processes(environment(folder, stack), folder / "logs")
        stack.callback(processes.close)
        yield set_up(processes, folder)


@pytest.fixture
def people(stage: Stage) -> Iterator[Callable[[type[Person]], Any]]:
    with ExitStack() as stack:
        yield lambda kind: kind(stack.enter_context(chromium()), stage)


def invitation(folder: Path) -> tuple[str, str]:
    """To whom the newest mail went, and the link in it; empty while there is none."""
    for file in sorted(folder.glob("*.log"), reverse=True):
        mail = email.message_from_bytes(file.read_bytes())
        payload = mail.get_payload(decode=True)
        text = payload.decode() if isinstance(payload, bytes) else ""
        if found := re.search(r"https?://\S+/set-password/\S+", text):
            return str(mail["To"]), found.group()
    return "", ""


def test_the_whole_way(stage: Stage, people: Callable[[type[Person]], Any]) -> None:
    customer, trainer, operator = people(Person), people(Person), people(Operator)
    opentrain = people(OpenTrainPage)

    connect(customer)
    link(customer, opentrain)
    hire(customer, opentrain)
    first_login(trainer)
    work(customer, trainer, opentrain)
    operate(operator)
    end(customer, trainer, opentrain)
    reconnect(customer, opentrain)
    disconnect(customer)


def connect(customer: Person) -> None:
    customer.log_in("customer", "customer")
    customer.browser.press("Customer feedback")
    customer.open("/opentrain/")
    customer.looks_right()
    approve(customer)
    customer.looks_right()


def approve(customer: Person) -> None:
    browser = customer.browser
    browser.press("Connect")
    customer.sees("Approve")
    customer.looks_right()
    browser.tick_name("pii_consent")
    browser.press("Approve")
    token = browser.read("opentrain-token")
    browser.press_id("opentrain-return")
    customer.sees("Token")
    customer.looks_right()
    browser.type_into("Token", token)
    browser.enter("Connect")
    customer.sees("Connected to OpenTrain.")


def link(customer: Person, opentrain: OpenTrainPage) -> None:
    opentrain.do("create_job", title="Sentiment of reviews", paymentType="PAY_PER_LABEL")
    opentrain.looks_right()
    job_id = re.search(r"job_\w+", opentrain.browser.driver.page_source[::1])
    jobs = re.findall(r"job_[0-9a-f]{8,}", opentrain.browser.driver.page_source)
    assert job_id
    customer.open("/opentrain/")
    customer.browser.type_into("Project", "Customer feedback")
    customer.browser.type_into("OpenTrain job", jobs[-1])
    customer.browser.enter("Link")
    customer.sees("The project is linked.")
    customer.looks_right()


def hire(customer: Person, opentrain: OpenTrainPage) -> None:
    opentrain.do("hire", near="Sentiment of reviews", name="Maria S.")
    opentrain.do("fund", near="Maria S.", amountUsd="5", volume="5")
    opentrain.looks_right()
    customer.sees("Maria S.", "0 of 5 funded labels", at="/opentrain/")
    customer.looks_right()


def first_login(trainer: Person) -> None:
    deadline = time.monotonic() + SECONDS
    while not invitation(trainer.stage.mail)[1]:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    username, url = invitation(trainer.stage.mail)
    trainer.browser.open(url)
    trainer.looks_right()
    trainer.browser.type_into("New password", PASSWORD)
    trainer.browser.type_into("New password confirmation", PASSWORD)
    trainer.browser.enter("Set")
    trainer.looks_right()
    trainer.log_in(username, PASSWORD)


def label(trainer: Person, count: int) -> None:
    trainer.open("/")
    trainer.browser.press("Start labelling")
    for _ in range(count):
        trainer.browser.press("positive")


def work(customer: Person, trainer: Person, opentrain: OpenTrainPage) -> None:
    label(trainer, 4)
    customer.sees("4 of 5 funded labels", at="/opentrain/")
    customer.looks_right()
    label(trainer, 1)
    customer.sees("5 of 5 funded labels", at="/opentrain/")
    customer.looks_right()
    customer.browser.press("Maria S.")
    customer.looks_right()
    trainer.open("/opentrain/work/")
    trainer.looks_right()
    opentrain.do("fund", near="Maria S.", amountUsd="5", volume="5")
    customer.sees("5 of 10 funded labels", at="/opentrain/")
    label(trainer, 1)


def operate(operator: Person) -> None:
    operator.open("/admin/login/")
    operator.browser.type_into("Username", "admin")
    operator.browser.type_into("Password", "admin")
    operator.browser.enter("Log in")
    for path in ("", "contract/", "accessgrant/", "webhookevent/", "dailyusage/", "install/"):
        operator.open(f"/admin/django_opentrain/{path}")
        operator.looks_right()
        if path:
            operator.browser.press_element("(//*[@id='result_list']/tbody//th//a)[1]")
            operator.looks_right()


def end(customer: Person, trainer: Person, opentrain: OpenTrainPage) -> None:
    opentrain.do("end", near="Maria S.")
    customer.sees("Ended", at="/opentrain/contracts/?status=ended")
    customer.looks_right()
    deadline = time.monotonic() + SECONDS
    while "Start labelling" in trainer.text:
        assert time.monotonic() < deadline
        trainer.open("/")


def reconnect(customer: Person, opentrain: OpenTrainPage) -> None:
    opentrain.do("disconnect")
    customer.sees("Connect again", at="/opentrain/")
    customer.looks_right()
    approve(customer)


def disconnect(customer: Person) -> None:
    customer.open("/opentrain/")
    customer.browser.press("Disconnect")
    customer.looks_right()
    customer.browser.enter("Disconnect")
    customer.sees("Disconnected.")
    customer.looks_right()
