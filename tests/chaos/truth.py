"""What OpenTrain says at the end, read so that it can be compared with what the site has."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from example_project.demo.opentrain import Json
from tests.chaos.people import Customer

#: (tenant, project, trainer)
Door = tuple[str, str, str]


@dataclass(frozen=True)
class Seat:
    """Access that a trainer should have."""

    door: Door
    contract: str
    link: str
    has_email: bool


class Truth:
    """One moment of OpenTrain's state."""

    def __init__(self, state: Json, customers: list[Customer]) -> None:
        self.state = state
        self.customers = customers
        self.installs: dict[str, Json] = {each["id"]: each for each in state["installs"]}
        self.events: dict[str, Json] = {each["id"]: each for each in state["events"]}
        self.hired: dict[str, str] = {each["id"]: each["freelancerId"] for each in state["contracts"]}
        self.trainers: dict[str, Json] = {each["opentrainUserId"]: each for each in state["freelancers"]}

    def active_install(self, customer: Customer) -> str:
        """The id of the customer's grant that stands; "" when there is none."""
        mine = (
            each["id"]
            for each in self.installs.values()
            if each["organizationId"] == customer.organization and each["status"] == "ACTIVE"
        )
        return next(mine, "")

    def is_active(self, install_id: str) -> bool:
        return bool(self.installs[install_id]["status"] == "ACTIVE")

    def links(self, install_id: str) -> list[Json]:
        return [each for each in self.state["links"] if each["installId"] == install_id]

    def endpoints(self, install_id: str) -> list[Json]:
        return [each for each in self.state["endpoints"] if each["installId"] == install_id]

    def seats(self, customer: Customer) -> Iterator[Seat]:
        """Who should have access to which of the customer's projects, while their install stands."""
        install = self.active_install(customer)
        for link in self.links(install) if install else ():
            for contract in self.state["contracts"]:
                if contract["status"] == "active" and contract["jobId"] == link["jobId"]:
                    trainer = contract["freelancerId"]
                    door = (customer.tenant, link["externalProjectId"], trainer)
                    yield Seat(door, contract["id"], link["id"], self.shows_email(trainer))

    def shows_email(self, trainer: str) -> bool:
        release = self.trainers[trainer]["emailReleaseAt"]
        return release is not None and str(release) <= str(self.state["now"])

    def deliveries(self) -> Iterator[tuple[Json, Json, str]]:
        """Each delivery with its event and the digest of what it brings."""
        for delivery in self.state["deliveries"]:
            event = self.events[delivery["eventId"]]
            yield delivery, event, digest_of(event["body"])

    def given_up(self) -> int:
        """How many deliveries failed for good."""
        return sum(delivery["status"] == "FAILED" for delivery in self.state["deliveries"])

    def usage(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """(seconds, labels) by contract, worker and day."""
        sums: defaultdict[tuple[str, str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
        for row in self.state["usage"]:
            key = (row["contractId"], row["workerId"], row["workDate"])
            sums[key] = (row["totalSeconds"], row["labelsCompleted"])
        return dict(sums)


def digest_of(body: Any) -> str:
    """SHA-256 of a body as OpenTrain sends it."""
    return hashlib.sha256(str(body).encode("utf-8", errors="backslashreplace")).hexdigest()
