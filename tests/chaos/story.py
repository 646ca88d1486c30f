"""What customers and trainers do while everything else goes wrong. Whatever fails is given up, as people do."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Final

import requests
from django.db import DatabaseError

from django_opentrain.errors import BusyError, ConnectError, LinkError
from django_opentrain.models import Install, ProjectLink, WebhookEndpoint, WebhookEvent
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.services import connect, endpoints, linking
from example_project.demo.opentrain import OpenTrain
from tests.chaos.journal import Journal
from tests.chaos.people import Customer, Hiring

#: What can come of an action while OpenTrain or the network misbehaves.
EXPECTED: Final = (OpenTrainError, LinkError, ConnectError, BusyError, requests.RequestException)

#: How many trainers are hired, and end, in a flood.
FLOOD: Final = 25
#: Seconds.
WAIT_FOR_EVENTS: Final = 2.0

#: Signed by OpenTrain, and still unexpected.
NONSENSE: Final = (
    "[]",
    "nonsense",
    '{"id": ',
    '{"id": "x\\u0000y", "type": "contract.started", "data": {"contract": "\\ud800"}}',
    '{"id": NaN, "type": "contract.ended", "resourceId": 7, "data": null}',
    json.dumps({"id": "9" * 3000, "type": "party.started", "data": {}}),
    json.dumps({"id": "abc", "type": "milestone.funded", "data": {"budget": {"state": []}}}),
    json.dumps(
        {"id": "-1", "type": "contract.started", "resourceId": "c" * 5000, "data": {"x": "y" * 90_000}}
    ),
)


class Story:
    """Plays one step at a time. Several may be played at once, each for another customer."""

    def __init__(self, opentrain: OpenTrain, customers: list[Customer], journal: Journal) -> None:
        self.opentrain = opentrain
        self.customers = customers
        self.journal = journal
        #: What people saw fail for no reason that they could understand.
        self.failures: list[str] = []
        #: Every token that OpenTrain ever showed.
        self.tokens: list[str] = []
        #: Events that were stored and not processed when their customer reconnected.
        self.events_waiting = 0
        self._locks = {customer.name: threading.Lock() for customer in customers}

    def play(self, what: str, dice: random.Random) -> None:
        """One step for one customer, whose steps come one after the other."""
        self._act("story", what, ACTIONS[what], dice)

    def strike(self, kind: str, what: str, dice: random.Random) -> None:
        """A fault that is something that a customer does, or an operator for them."""
        self._act(kind, what, FAULTS[kind], dice)

    def _act(self, kind: str, what: str, action: Action, dice: random.Random) -> None:
        customer = dice.choice(self.customers)
        with self._locks[customer.name]:
            try:
                ids = action(self, customer, dice)
            except EXPECTED as error:
                self.journal.write(kind, what, customer=customer.name, failed=type(error).__name__)
            except DatabaseError as error:
                # Nothing stands between people's actions and the database here: it was the site's own doing.
                self.failures.append(f"{what} of {customer.name} failed: {type(error).__name__}: {error}")
            else:
                self.journal.write(kind, what, customer=customer.name, install=customer.install, **ids)

    def begin(self, customer: Customer) -> None:
        """All is well yet: connect, and link each project to a job."""
        self.approve(customer, random.Random(0))
        install = Install.objects.get(opentrain_id=customer.install)
        for project, job in zip(customer.projects, customer.jobs, strict=True):
            linking.link(install, project, job_id=job)

    # Connecting -------------------------------------------------------------------------------

    def approve(self, customer: Customer, _dice: random.Random) -> dict[str, str]:
        """Approve on OpenTrain (once more), and paste the token."""
        answer = self.opentrain.do("approve", organizationId=customer.organization)
        customer.install, customer.token = answer["installId"], answer["token"]
        self.tokens.append(customer.token)
        self.paste(customer)
        return {}

    def paste(self, customer: Customer) -> None:
        """Paste the token that OpenTrain showed last."""
        waiting = connect.start_without_return(customer.user, customer.tenant)
        connect.capture_token(waiting, customer.token)

    def disconnect(self, customer: Customer, _dice: random.Random) -> dict[str, str]:
        """On OpenTrain."""
        self.opentrain.do("disconnect", installId=customer.install)
        return {}

    def leave(self, customer: Customer, _dice: random.Random) -> dict[str, str]:
        """Disconnect on the site."""
        install = self._install(customer)
        if install is not None:
            connect.disconnect(install)
        return {}

    def verify(self, customer: Customer, _dice: random.Random) -> dict[str, str]:
        """Look at the connection's page, and come back if it is no longer there."""
        install = self._install(customer)
        if install is None:
            return self.approve(customer, _dice)
        connect.verify(install)
        return {}

    def _install(self, customer: Customer) -> Install | None:
        mine = Install.objects.live().filter(tenant=customer.tenant)
        return mine.order_by("-pk").first()

    # Linking ----------------------------------------------------------------------------------

    def link(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        project, job = dice.choice(customer.projects), dice.choice(customer.jobs)
        install = self._install(customer)
        if install is not None:
            linking.link(install, project, job_id=job)
        return {"project": project, "job": job}

    def unlink(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        install = self._install(customer)
        links = list(ProjectLink.objects.active().filter(install=install).select_related("install"))
        if len(links) < 2:
            return {}
        link = dice.choice(links)
        linking.unlink(link)
        return {"project": link.external_project_id, "job": link.job_id}

    def rotate(self, customer: Customer, _dice: random.Random) -> dict[str, str]:
        """An operator replaces the secret of the customer's endpoint."""
        active = WebhookEndpoint.objects.filter(
            install=self._install(customer), status=WebhookEndpoint.Status.ACTIVE
        )
        endpoint = active.select_related("install").first()
        successor = endpoint and endpoints.rotate_secret(endpoint)
        return {"endpoint": str(successor and successor.opentrain_id)}

    # Hiring -----------------------------------------------------------------------------------

    def hire(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        return self._hire(customer, dice, has_email=True, name=dice.choice(NAMES))

    def hire_without_email(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        """Their Work Email comes later: automatically, or when it is released."""
        late = {} if dice.random() < 0.5 else {"seconds": dice.randrange(300, 6000)}
        return self._hire(
            customer, dice, has_email=bool(late), name=dice.choice(NAMES), workEmail="later", **late
        )

    def hire_known(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        """A trainer who works, or worked, for this customer or another one."""
        known = [hiring for other in self.customers for hiring in other.hirings]
        if not known:
            return {}
        hiring = dice.choice(known)
        return self._hire(customer, dice, has_email=hiring.has_email, opentrainUserId=hiring.trainer)

    def _hire(
        self, customer: Customer, dice: random.Random, *, has_email: bool, **how: object
    ) -> dict[str, str]:
        job = dice.choice(customer.jobs)
        contract = self.opentrain.do("hire", jobId=job, **how)["contract"]
        hiring = Hiring(contract["id"], contract["freelancerId"], job, has_email)
        customer.hirings.append(hiring)
        return {"contract": hiring.contract, "trainer": hiring.trainer, "job": job}

    def release_email(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        hidden = [hiring for hiring in customer.hirings if not hiring.has_email]
        if not hidden:
            return {}
        hiring = dice.choice(hidden)
        self.opentrain.do("release_email", contractId=hiring.contract)
        hiring.has_email = True
        return {"contract": hiring.contract, "trainer": hiring.trainer}

    def end(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        if not customer.hirings:
            return {}
        hiring = dice.choice(customer.hirings)
        self.opentrain.do("end", contractId=hiring.contract)
        customer.hirings.remove(hiring)
        return {"contract": hiring.contract, "trainer": hiring.trainer, "job": hiring.job}

    def fund(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        if not customer.hirings:
            return {}
        hiring = dice.choice(customer.hirings)
        volume = dice.choice([1, 5, 100])
        self.opentrain.do("fund", contractId=hiring.contract, amountUsd=volume, volume=volume)
        return {"contract": hiring.contract}

    def flood(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        """So much at once that the other customers could be kept waiting."""
        for _ in range(FLOOD):
            self.hire(customer, dice)
            self.fund(customer, dice)
            self.fund(customer, dice)
            self.end(customer, dice)
        return {}

    def reconnect_with_events_waiting(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        """Connect anew while events of the earlier install are stored, and others on their way."""
        self.hire(customer, dice)
        self.hire_known(customer, dice)
        self.end(customer, dice)
        waiting = WebhookEvent.objects.filter(
            endpoint__install__opentrain_id=customer.install, status=WebhookEvent.Status.PENDING
        )
        deadline = time.monotonic() + WAIT_FOR_EVENTS
        while not (number := waiting.count()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.events_waiting += number
        self.approve(customer, dice)
        return {"waiting": str(number)}

    def nonsense(self, customer: Customer, dice: random.Random) -> dict[str, str]:
        """OpenTrain signs and sends what makes no sense. (The type is one without side effects there.)"""
        body = dice.choice(NONSENSE)
        self.opentrain.do("emit", type="install.revoked", installId=customer.install, rawBody=body)
        return {"body": body[:40]}


NAMES: Final = ("Maria S.", "Jonas K.", "Zoë Ó Brien", "李 小龙", "Ana-Lucía", "O'Neil <b>", "مريم")

Action = Callable[[Story, Customer, random.Random], dict[str, str]]

FAULTS: Final[dict[str, Action]] = {
    "rotate": Story.rotate,
    "flood": Story.flood,
    "reconnect": Story.reconnect_with_events_waiting,
}

ACTIONS: Final[dict[str, Action]] = {
    "hire": Story.hire,
    "hire_without_email": Story.hire_without_email,
    "hire_known": Story.hire_known,
    "release_email": Story.release_email,
    "end": Story.end,
    "fund": Story.fund,
    "link": Story.link,
    "unlink": Story.unlink,
    "reconnect": Story.approve,
    "disconnect": Story.disconnect,
    "leave": Story.leave,
    "verify": Story.verify,
    "nonsense": Story.nonsense,
}
