"""OpenTrain's side: the sandbox's control API."""

from __future__ import annotations

from typing import Any, NamedTuple

import requests

from example_project.demo.browser import TIMEOUT

Json = dict[str, Any]


class Hired(NamedTuple):
    """A hired trainer."""

    name: str
    contract_id: str
    work_email: str


class OpenTrain:
    """The sandbox, through its control API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["Connection"] = "close"  # see browser.py
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def do(self, verb: str, **arguments: object) -> Json:
        """One verb of the control API. Raises ``requests.HTTPError``."""
        response = self._session.post(f"{self.url}/control/api/{verb}", json=arguments, timeout=TIMEOUT)
        response.raise_for_status()
        answer: Json = response.json()
        return answer

    def state(self) -> Json:
        """Everything that the sandbox has, by kind."""
        response = self._session.get(f"{self.url}/control/api/state", timeout=TIMEOUT)
        response.raise_for_status()
        answer: Json = response.json()
        return answer

    def hire(self, name: str, job_id: str, **more: object) -> Hired:
        """Start a contract with a new trainer."""
        answer = self.do("hire", name=name, jobId=job_id, **more)
        return Hired(name, answer["contract"]["id"], answer["freelancer"]["workEmail"])

    def active_installs(self) -> list[Json]:
        return [install for install in self.state()["installs"] if install["status"] == "ACTIVE"]

    def links(self, install_id: str) -> list[Json]:
        return [link for link in self.state()["links"] if link["installId"] == install_id]

    def endpoints(self, install_id: str) -> list[Json]:
        """The install's active webhook endpoints."""
        mine = [each for each in self.state()["endpoints"] if each["installId"] == install_id]
        return [each for each in mine if each["status"] == "ACTIVE"]

    def budget(self, contract_id: str) -> Json:
        """A contract's budget, as OpenTrain has it."""
        budget: Json = self.state()["budgets"][contract_id]
        return budget

    def labels_reported(self, contract_id: str) -> int:
        """The labels that were reported under a contract."""
        rows = [row for row in self.state()["usage"] if row["contractId"] == contract_id]
        return sum(row["labelsCompleted"] for row in rows)

    def events(self, kind: str) -> int:
        """How many events of this type were emitted."""
        return sum(event["type"] == kind for event in self.state()["events"])
