"""Something to look at: what ``--serve`` leaves after the story, made by the same people on the same pages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Final

from example_project.demo.opentrain import Hired
from example_project.demo.people import Trainer
from example_project.demo.story import PROJECT, Story, eventually, step

TICKETS: Final = "Support tickets"
#: What all trainers of the scenery choose.
PASSWORD: Final = "trainer"

#: Hours of earlier days, by how many days ago: of a budget of 30, they are more than 80 %.
LEA_HOURS: Final = {6: 5.5, 5: 6.25, 4: 4.0, 2: 6.5, 1: 2.75}
TOMAS_HOURS: Final = {5: 3.5, 4: 7.25}
#: Labels, of 500.
AIKO_LABELS: Final = {5: 42, 4: 87, 3: 64, 1: 51}
NONE: Final[Mapping[int, int]] = {}
OBJECTION: Final = "I worked until noon on this day, an hour longer than it says. The last batch is missing."


class Scenery:
    """A connection with several days of work, a low budget, and what needs attention."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.site = story.site
        self.customer = story.customer
        self.opentrain = story.opentrain
        self.today = datetime.now(tz=timezone.utc).date()

    def play(self) -> list[Trainer]:
        """All of it. Returns the trainers who can log in. Raises ``Unexpected``."""
        print("\nSomething to look at:", flush=True)
        self.connect()
        lea, aiko, tomas = self.hire(self.link())
        self.first_logins(lea, aiko)
        self.work_today(lea, aiko)
        self.work_before(lea, aiko, tomas)
        self.attention(lea)
        return [lea, aiko]

    def connect(self) -> None:
        with step(f"the customer connects again, and “{PROJECT}” is linked as it was"):
            self.customer.ask_to_connect()
            token = self.customer.approve()
            self.customer.return_with(token)
            (install,) = self.opentrain.active_installs()
            eventually(lambda: self.opentrain.links(install["id"]), "the link")
            eventually(lambda: self.opentrain.endpoints(install["id"]), "an active webhook endpoint")

    def link(self) -> str:
        """Returns the id of a job that pays by the hour."""
        with step(f"links “{TICKETS}”, too"):
            job = self.opentrain.do(
                "create_job", title="Topics of support tickets", paymentType="PAY_PER_HOUR"
            )
            job_id = str(job["job"]["id"])
            self.customer.link(TICKETS, job_id)
        return job_id

    def hire(self, tickets: str) -> list[Trainer]:
        with step("Lea, Aiko and Tomás, hired last week, get their seats"):
            trainers = [
                self._trainer("Lea M.", tickets, country="DE", daysAgo=7),
                self._trainer("Aiko T.", self.story.job_id, country="JP", daysAgo=6),
                self._trainer("Tomás R.", tickets, country="PT", daysAgo=6),
            ]
            for each, volume in zip(trainers, (30, 500, 20), strict=True):
                contract_id = each.hired.contract_id
                self.opentrain.do("fund", contractId=contract_id, amountUsd=20 * volume, volume=volume)
            eventually(lambda: all(map(self._has_seat, trainers)), "three seats")
        return trainers

    def _trainer(self, name: str, job_id: str, **more: object) -> Trainer:
        hired = self.opentrain.hire(name, job_id, **more)
        trainer = Trainer(self.site, hired, self.story.mail, PASSWORD)
        return self.story.stack.enter_context(closing(trainer))

    def _has_seat(self, trainer: Trainer) -> bool:
        seat = f"{trainer.hired.work_email} can label"
        return any(seat in self.customer.look_at(project).text for project in (PROJECT, TICKETS))

    def first_logins(self, *trainers: Trainer) -> None:
        with step("Lea and Aiko choose a password and log in"):
            eventually(lambda: all(each.invitation() for each in trainers), "two mails")
            for each in trainers:
                each.choose_password()

    def work_today(self, lea: Trainer, aiko: Trainer) -> None:
        with step("they label texts today"):
            lea.label(TICKETS, 6)
            aiko.label(PROJECT, 5)
            eventually(lambda: self._reported(aiko.hired)["labels"] == 5, "5 labels by Aiko on OpenTrain")

    def work_before(self, lea: Trainer, aiko: Trainer, tomas: Trainer) -> None:
        with step("the days before are entered and reported: 80 % of Lea's budget is used"):
            self._enter(lea, hours=LEA_HOURS)
            self._enter(tomas, hours=TOMAS_HOURS)
            self._enter(aiko, labels=AIKO_LABELS)
            eventually(lambda: self._state(lea.hired) == "LOW", "Lea's low budget on OpenTrain")
            eventually(
                lambda: self._reported(tomas.hired)["hours"] == sum(TOMAS_HOURS.values()), "Tomás's hours"
            )
            eventually(lambda: self._home_says("Low 25 of 30 funded hours used"), "the low budget here")
        with step("Tomás's contract ends"):
            self.opentrain.do("end", contractId=tomas.hired.contract_id)
            eventually(lambda: not self._has_seat(tomas), "Tomás without a seat")

    def attention(self, lea: Trainer) -> None:
        with step("Priya is hired and has no Work Email yet: her access waits, and the customer sees it"):
            priya = self.opentrain.hire("Priya N.", self.story.job_id, country="IN", workEmail="later")
            self.opentrain.do("fund", contractId=priya.contract_id, amountUsd=80, volume=200)
            eventually(
                lambda: self._home_says("Waiting for a Work Email", "0 of 200 funded labels used"),
                "Priya on the customer's page",
            )
        with step("Lea objects to a day"):
            contract = self.customer.contract(lea.hired.contract_id)
            lea.object_to(contract, self._day(2), OBJECTION)
            eventually(
                lambda: self._home_says("A trainer objects to 1 day"),
                "the objection on the customer's page",
            )

    def _enter(
        self, trainer: Trainer, *, hours: Mapping[int, float] = NONE, labels: Mapping[int, int] = NONE
    ) -> None:
        """Enter the hours or labels of days before today."""
        days = [self._worked(ago, count * 3600, int(count * 23)) for ago, count in hours.items()]
        days += [self._worked(ago, count * 95, count, labelsCompleted=count) for ago, count in labels.items()]
        self.customer.enter_days(trainer.hired.contract_id, days)

    def _worked(self, ago: int, seconds: float, tasks: int, **more: int) -> dict[str, object]:
        """One day's totals, as the API takes them."""
        return {"workDate": self._day(ago), "totalSeconds": int(seconds), "tasksCompleted": tasks, **more}

    def _day(self, ago: int) -> str:
        return (self.today - timedelta(days=ago)).isoformat()

    def _reported(self, hired: Hired) -> Mapping[str, float]:
        consumed: Mapping[str, float] = self.opentrain.budget(hired.contract_id)["consumed"]
        return consumed

    def _state(self, hired: Hired) -> str:
        return str(self.opentrain.budget(hired.contract_id)["state"])

    def _home_says(self, *texts: str) -> bool:
        """Whether the customer's page has all these texts."""
        page = self.customer.open(f"{self.site}/opentrain/")
        return all(text in page.text for text in texts)
