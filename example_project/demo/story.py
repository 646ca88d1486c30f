"""What happens in the demo, step by step. A step is over when its outcome was observed, not when it was requested."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from example_project.demo.browser import Unexpected
from example_project.demo.opentrain import OpenTrain
from example_project.demo.people import Customer, Trainer

PROJECT: Final = "Customer feedback"
JOB: Final = "Sentiment of reviews"
#: Seconds within which an outcome has to be observed.
TIMEOUT: Final = 90.0
_LOOK_AGAIN: Final = 0.3


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a tick and the time it took when the block has ended, or a cross if it failed."""
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(f"  ✗ {title}", flush=True)
        raise
    print(f"  ✓ {title} … {time.monotonic() - started:.1f} s", flush=True)


def eventually(is_so: Callable[[], object], what: str, seconds: float = TIMEOUT) -> None:
    """Check until it is true. Raises ``Unexpected`` if it doesn't become true in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise Unexpected(f"Not seen within {seconds:g} s: {what}.")
        time.sleep(_LOOK_AGAIN)


class Story:
    """The core loop, played by a customer and two trainers."""

    def __init__(self, site: str, opentrain: OpenTrain, mail: Path, stack: ExitStack) -> None:
        self.site = site
        self.opentrain = opentrain
        self.mail = mail
        self.stack = stack
        self.customer = stack.enter_context(closing(Customer(site)))
        self.job_id = ""
        self.labelling_url = ""

    def play(self) -> None:
        """All of it. Raises ``Unexpected`` if something differs from what is expected."""
        install_id = self.connect()
        self.link(install_id)
        maria, jonas = self.hire()
        self.first_logins(maria, jonas)
        self.spend(maria, jonas)
        self.end(maria, jonas)
        install_id = self.reconnect(install_id, jonas)
        self.disconnect(install_id, jonas)

    def connect(self) -> str:
        """Returns OpenTrain's id of the install."""
        with step("the customer logs in on the site"):
            self.customer.log_in("customer", "customer")
        with step("clicks Connect, and is on OpenTrain's consent screen"):
            self.customer.ask_to_connect()
        with step("approves, and OpenTrain shows a token once"):
            token = self.customer.approve()
        with step("returns, pastes it, and the site says Connected"):
            self.customer.return_with(token)
        (install,) = self.opentrain.active_installs()
        return str(install["id"])

    def link(self, install_id: str) -> None:
        self.job_id = self.opentrain.do("create_job", title=JOB, paymentType="PAY_PER_LABEL")["job"]["id"]
        with step(f"links the project “{PROJECT}” to the job “{JOB}”, and OpenTrain knows it"):
            self.customer.link(PROJECT, self.job_id)
            (link,) = self.opentrain.links(install_id)
            if link["jobId"] != self.job_id:
                raise Unexpected("OpenTrain has linked another job.")
        with step("the worker subscribes to OpenTrain's webhooks"):
            eventually(lambda: self.opentrain.endpoints(install_id), "an active webhook endpoint")

    def hire(self) -> tuple[Trainer, Trainer]:
        people = []
        with step("the customer hires Maria and Jonas on OpenTrain; both get a seat in the project"):
            for name in ("Maria S.", "Jonas K."):
                hired = self.opentrain.hire(name, self.job_id)
                people.append(self.stack.enter_context(closing(Trainer(self.site, hired, self.mail))))
            eventually(lambda: all(self.has_seat(person) for person in people), "two seats in the project")
        maria, jonas = people
        return maria, jonas

    def has_seat(self, person: Trainer) -> bool:
        return f"{person.hired.work_email} can label" in self.customer.look_at(PROJECT).text

    def first_logins(self, *people: Trainer) -> None:
        with step("each gets a mail with a link that sets their password"):
            eventually(lambda: all(person.invitation() for person in people), "two mails")
        with step("they choose a password, log in, and see the first text"):
            for person in people:
                person.choose_password()
                self.labelling_url = person.open_task(PROJECT).url

    def spend(self, maria: Trainer, jonas: Trainer) -> None:
        """Use a budget, over 80 % and 100 %, and continue with new funding."""
        with step("the customer funds 5 labels for Maria and 20 for Jonas; the project page shows it"):
            self.fund(maria, 5)
            self.fund(jonas, 20)
            self.sees_budget("of 5 funded labels", "of 20 funded labels")
        with step("Maria labels 4 texts, Jonas 3: the work is reported to OpenTrain"):
            maria.label(PROJECT, 4)
            jonas.label(PROJECT, 3)
            self.is_reported(maria, 4)
            self.is_reported(jonas, 3)
        with step("80 % of Maria's budget is used: OpenTrain warns, and the project page says Low"):
            eventually(lambda: self.opentrain.events("milestone.budget_low"), "milestone.budget_low")
            self.sees_budget("Low 4 of 5 funded labels used (80 %)")
        with step("she labels one more, 100 %: the page says Depleted, and her tasks pause"):
            maria.label(PROJECT, 1)
            self.sees_budget("Depleted 5 of 5 funded labels used (100 %)")
            eventually(
                lambda: "paused" in maria.open(self.labelling_url).elements,
                "the page that says she is paused",
            )
        with step("the customer funds 5 more: she continues, and it is reported"):
            self.fund(maria, 5)
            eventually(lambda: "task" in maria.open(self.labelling_url).elements, "her next text")
            maria.label(PROJECT, 1)
            self.is_reported(maria, 6)

    def fund(self, person: Trainer, labels: int) -> None:
        self.opentrain.do("fund", contractId=person.hired.contract_id, amountUsd=labels, volume=labels)

    def is_reported(self, person: Trainer, labels: int) -> None:
        contract_id = person.hired.contract_id
        eventually(
            lambda: self.opentrain.labels_reported(contract_id) == labels,
            f"{labels} labels by {person.name} on OpenTrain",
        )

    def sees_budget(self, *texts: str) -> None:
        eventually(
            lambda: all(text in self.customer.look_at(PROJECT).text for text in texts),
            f"{texts} on the project page",
        )

    def end(self, maria: Trainer, jonas: Trainer) -> None:
        with step("Maria's contract ends: her session and her password no longer work"):
            self.opentrain.do("end", contractId=maria.hired.contract_id)
            eventually(lambda: maria.is_shut_out(self.labelling_url), "Maria locked out")
        with step("Jonas continues as before, and Maria's labels are still there"):
            jonas.label(PROJECT, 1)
            self.customer.look_at(PROJECT).expect(f"{maria.hired.work_email} 6")

    def reconnect(self, old_install: str, jonas: Trainer) -> str:
        """Returns OpenTrain's id of the new install."""
        with step(
            "by mistake the customer ends the connection on OpenTrain: the site says until when access lasts"
        ):
            self.opentrain.do("disconnect", installId=old_install)
            eventually(self.warns_of_the_end, "the warning on the site")
        with step("Jonas continues, and the customer connects again"):
            jonas.label(PROJECT, 1)
            self.customer.ask_to_connect()
            token = self.customer.approve()
            self.customer.return_with(token)
            (install,) = self.opentrain.active_installs()
            if install["id"] == old_install:
                raise Unexpected("OpenTrain made no new connection.")
        with step("the new one takes over: link and webhooks are created again, Jonas keeps his access"):
            eventually(lambda: self.has_taken_over(install["id"], jonas), "its link and its webhook endpoint")
        with step("his work is reported through the new connection"):
            jonas.label(PROJECT, 1)
            self.is_reported(jonas, 6)
        return str(install["id"])

    def warns_of_the_end(self) -> bool:
        page = self.customer.open(f"{self.site}/opentrain/")
        return "The trainers you hired lose their access at" in page.text

    def has_taken_over(self, install_id: str, jonas: Trainer) -> bool:
        jonas.open_task(PROJECT)  # raises if he has no access, for however short a time
        return bool(self.opentrain.links(install_id) and self.opentrain.endpoints(install_id))

    def disconnect(self, install_id: str, jonas: Trainer) -> None:
        with step("the customer disconnects: Jonas loses his access, too"):
            self.customer.disconnect()
            eventually(lambda: jonas.is_shut_out(self.labelling_url), "Jonas locked out")
        with step("the site's webhooks are removed from OpenTrain"):
            eventually(lambda: not self.opentrain.endpoints(install_id), "no webhook endpoint")
