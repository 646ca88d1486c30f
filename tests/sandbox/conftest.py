"""A sandbox with a stopped clock, a receiver that writes down what it gets, and an API client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from django_opentrain.platform.catalog import API_PATH, EVENT_TYPES
from django_opentrain.sandbox import Approval, Sandbox
from django_opentrain.sandbox.models import Job
from tests.sandbox.spec import check_answer


@dataclass
class Delivered:
    """One request that the receiver got."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def type(self) -> str:
        return str(self.event["type"])


@dataclass
class Receiver:
    """Answers with ``status``, or raises ``error``; remembers everything."""

    status: int = 204
    error: Exception | None = None
    got: list[Delivered] = field(default_factory=list)

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        self.got.append(Delivered(url, headers, body))
        if self.error is not None:
            raise self.error
        return self.status

    @property
    def types(self) -> list[str]:
        return [each.type for each in self.got]


@dataclass
class Answer:
    status: int
    body: Any

    @property
    def code(self) -> Any:
        return self.body["code"]

    @property
    def issues(self) -> dict[str, str]:
        """Message by dotted path."""
        issues = self.body["details"]["issues"]
        return {".".join(map(str, each["path"])): each["message"] for each in issues}


class Api:
    """Calls the API with one token; every answer is checked against the OpenAPI document."""

    def __init__(self, sandbox: Sandbox, session: requests.Session, token: str) -> None:
        self.sandbox = sandbox
        self.session = session
        self.token = token

    def call(self, method: str, path: str, json: object = None, **kwargs: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", **kwargs.pop("headers", {})}
        url = self.sandbox.base_url + API_PATH + path
        response = self.session.request(method, url, json=json, headers=headers, **kwargs)
        answer = Answer(response.status_code, response.json())
        check_answer(method, path.partition("?")[0], answer.status, answer.body)
        return answer

    def get(self, path: str, **kwargs: Any) -> Answer:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, json: object = None, **kwargs: Any) -> Answer:
        return self.call("POST", path, json, **kwargs)

    def link(self, external_id: str = "7", job: Job | None = None) -> str:
        """Link a project; the link's id."""
        job_id = job.id if job else self.sandbox.store.all(Job)[0].id
        answer = self.post("/project-links", {"externalProjectId": external_id, "jobId": job_id})
        assert answer.status == 201, answer.body
        return str(answer.body["projectLink"]["id"])

    def subscribe(self, *event_types: str, url: str = "https://example.test/hook") -> str:
        """Register an endpoint, for all events by default; its id."""
        body = {"url": url, "eventTypes": list(event_types or EVENT_TYPES)}
        answer = self.post("/webhook-endpoints", body)
        assert answer.status == 201, answer.body
        return str(answer.body["webhookEndpoint"]["id"])


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[Sandbox]:
    made = Sandbox(speed=0, sender=receiver)
    yield made
    made.close()


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[requests.Session]:
    with requests.Session() as made:
        sandbox.mount(made)
        yield made


@pytest.fixture
def approval(sandbox: Sandbox) -> Approval:
    return sandbox.approve()


@pytest.fixture
def api(sandbox: Sandbox, session: requests.Session, approval: Approval) -> Api:
    return Api(sandbox, session, approval.token)


@pytest.fixture
def job(sandbox: Sandbox) -> Job:
    """The seeded job that pays by the hour."""
    return sandbox.store.all(Job)[0]
