"""The people of the demo. They do everything through the pages."""

from __future__ import annotations

import email
import re
import secrets
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

from example_project.demo.browser import Browser, Page, Unexpected
from example_project.demo.opentrain import Hired


class Person(Browser):
    """A user of the site."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site

    def log_in(self, username: str, password: str) -> Page:
        """Log in, and see the projects. Raises ``Unexpected`` when that isn't allowed."""
        self.open(f"{self.site}/login/")
        self.submit(self.page.form("username", "password"), username=username, password=password)
        return self.page.expect(f"Log out {username}")


class Customer(Person):
    """The customer, who hires."""

    def ask_to_connect(self) -> Page:
        """From the OpenTrain page of the site to OpenTrain's consent screen."""
        self.open(f"{self.site}/opentrain/")
        self.submit(self.page.form(action="/connect/"))
        self.open(self.page.links["Continue"])  # a browser does so at once
        return self.page.expect("Approve", "Decline")

    def approve(self) -> str:
        """Approve on OpenTrain, Work Emails included; returns the token that is shown there once."""
        self.submit(self.page.form("pii_consent"), button="approve", pii_consent="on")
        token = self.page.elements.get("opentrain-token", "")
        if not token.startswith("ot_ptk_"):
            raise Unexpected(f"OpenTrain shows no token: {self.page.text[:300]}")
        return token

    def return_with(self, token: str) -> Page:
        """Follow OpenTrain's link back to the site, and paste the token."""
        self.open(self.page.hrefs["opentrain-return"])
        self.submit(self.page.form("token"), token=token)
        return self.page.expect("Connected to OpenTrain.")

    def link(self, project: str, job_id: str) -> Page:
        """Link one of the projects to a job."""
        self.open(f"{self.site}/opentrain/")
        form = self.page.form("project", "job_id")
        found = [value for value, text in form.options["project"] if text == project]
        if not found:
            raise Unexpected(f"{project} can't be chosen.")
        self.submit(form, project=found[0], job_id=job_id)
        return self.page.expect("The project is linked.")

    def look_at(self, project: str) -> Page:
        """The site's own page of a project."""
        self.open(f"{self.site}/")
        href = re.search(r"/projects/\d+/", self.page.links.get(project, ""))
        if href is None:
            raise Unexpected(f"{project} is not among the projects.")
        return self.open(href.group())

    def contract(self, opentrain_id: str) -> int:
        """The site's own id of a contract."""
        contracts = self.call("GET", f"{self.site}/opentrain/api/contracts/")["results"]
        (found,) = [each["id"] for each in contracts if each["opentrainId"] == opentrain_id]
        return int(found)

    def enter_days(self, opentrain_id: str, days: list[dict[str, object]]) -> None:
        """Enter the totals of days on which the site observed nothing, by the site's API."""
        url = f"{self.site}/opentrain/api/contracts/{self.contract(opentrain_id)}/usage/"
        self.call("POST", url, {"entries": days})

    def disconnect(self) -> Page:
        """Disconnect on the site, and confirm."""
        self.open(f"{self.site}/opentrain/")
        self.open(self.page.links["Disconnect"])
        self.submit(self.page.form(action="/disconnect/"))
        return self.page.expect("Disconnected.")


class Trainer(Person):
    """A trainer, who was hired."""

    def __init__(self, site: str, hired: Hired, mail: Path, password: str = "") -> None:
        super().__init__(site)
        self.hired = hired
        self.password = password or secrets.token_urlsafe(12)
        self._mail = mail

    @property
    def name(self) -> str:
        return self.hired.name

    def invitation(self) -> str:
        """The link that came by mail; "" while there is none."""
        for message in _messages(self._mail):
            if message["To"] == self.hired.work_email:
                found = re.search(r"https?://\S+/set-password/\S+", _text(message))
                return found.group() if found else ""
        return ""

    def choose_password(self) -> Page:
        """Follow the link, choose a password, and log in."""
        self.open(self.invitation())
        form = self.page.form("new_password1", "new_password2")
        self.submit(form, new_password1=self.password, new_password2=self.password)
        return self.log_in(self.hired.work_email, self.password)

    def open_task(self, project: str) -> Page:
        """The labelling page, from the list of projects. Raises ``Unexpected`` without access to it."""
        self.open(f"{self.site}/")
        if "Start labelling" not in self.page.links:
            raise Unexpected(f"{self.name} has nothing to label: {self.page.text[:300]}")
        self.open(self.page.links["Start labelling"])
        return self.page.expect(project)

    def label(self, project: str, count: int) -> None:
        """Label this many texts."""
        self.open_task(project)
        for number in range(count):
            form = self.page.form("shown")
            self.submit(form, button=form.buttons[number % len(form.buttons)][1])

    def object_to(self, contract: int, day: str, text: str) -> Page:
        """Object to a day, on the trainer's page of it."""
        self.open(f"{self.site}/opentrain/work/{contract}/days/{day}/")
        self.submit(self.page.form("text", action="/object/"), text=text)
        return self.page.expect(text)

    def is_shut_out(self, labelling_url: str) -> bool:
        """Whether neither the session nor the password gives access any more."""
        self.open(labelling_url)
        if self.page.status == 200 and "/login/" not in self.page.url:
            return False
        try:
            self.log_in(self.hired.work_email, self.password)
        except Unexpected:
            return True
        return False


def _messages(folder: Path) -> Iterator[Message]:
    """The mails that Django's file backend has written. Two of the same second can share a file."""
    for file in sorted(folder.glob("*.log")):
        for part in re.split(rb"^-{79}\n", file.read_bytes(), flags=re.MULTILINE):
            yield email.message_from_bytes(part)


def _text(message: Message) -> str:
    payload = message.get_payload(decode=True)
    return payload.decode() if isinstance(payload, bytes) else ""
