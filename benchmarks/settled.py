"""A site on which everything is settled, and an OpenTrain that says so: what such a site costs is overhead."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from datetime import timezone as tz
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.site import database  # isort: skip  # first: it sets Django up

import requests
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import override_settings
from django.utils import timezone
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.response import HTTPResponse

from django_opentrain.adapters import Project
from django_opentrain.adapters.naming import group_name
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.clients import shared_session
from django_opentrain.conf import conf
from django_opentrain.models import Contract, Install, Participant, ProjectLink
from django_opentrain.platform.catalog import API_PATH
from tests.factories import (
    make_contract,
    make_endpoint,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_trainer_account,
    make_user,
)

Json = dict[str, Any]


class Adapter(DjangoUsersAdapter):
    """A host with accounts and groups, and any project that is asked for."""

    def list_projects(self, tenant: str) -> Iterator[Project]:
        yield from ()

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        return Project(id=external_project_id)


@contextmanager
def site() -> Iterator[None]:
    """A database, and the host."""
    adapter = f"{__name__}.{Adapter.__qualname__}"
    with database(), override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": adapter}):
        yield


def hire(
    installs: int, contracts: int, links: int, *, read_at: tuple[datetime, timedelta] | None = None
) -> list[Install]:
    """Installs with so many contracts, each with a trainer who has access to each of so many linked projects.

    ``read_at``: since when budgets and participants were fetched, spread evenly over that time; by default now.
    """
    made = []
    for tenant in range(installs):
        install = make_install(f"acme {tenant}")
        make_endpoint(install)
        projects = [make_link(install, job_id="job") for _ in range(links)]
        groups = [
            Group.objects.get_or_create(name=group_name(install.tenant, each.external_project_id))[0]
            for each in projects
        ]
        for number in range(contracts):
            _hire(install, projects, groups, _read(read_at, (number + tenant / installs) / contracts))
        made.append(install)
    return made


def _read(read_at: tuple[datetime, timedelta] | None, share: float) -> datetime:
    since, span = read_at or (timezone.now(), timedelta())
    return since + span * share


def _hire(install: Install, projects: list[ProjectLink], groups: list[Group], read_at: datetime) -> None:
    trainer = make_participant(install)
    user = make_user(email=trainer.work_email)
    user.groups.set(groups)
    make_trainer_account(user, opentrain_user_id=trainer.opentrain_user_id, invitation="LOGGED_IN")
    contract = make_contract(
        install,
        projects,
        job_id="job",
        trainer=trainer,
        start_at=datetime(2026, 11, 2, 10, tzinfo=tz.utc),
        participants_read_at=read_at,
        budget_updated_at=read_at,
        payment_type="PAY_PER_HOUR",
    )
    for each in projects:
        make_grant(
            contract,
            each,
            trainer,
            host_user_ref=str(user.pk),
            opened_project_id=each.external_project_id,
        )


class Answers(BaseAdapter):
    """OpenTrain for those installs: answers are made once, so that a call costs what ``requests`` costs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []
        self._builder = HTTPAdapter()
        self._answers: dict[tuple[str, str], bytes] = {}
        for install in Install.objects.all():
            for path, answer in _answers(install):
                self._answers[f"Bearer {install.token}", path] = json.dumps(answer).encode()

    def send(self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any) -> requests.Response:
        """The one answer there is."""
        parts = urlsplit(request.url or "")
        query = parse_qs(parts.query)
        path = parts.path.removeprefix(urlsplit(conf.base_url).path + API_PATH)
        status = query.get("status", [""])[0]
        token = str(request.headers["Authorization"])
        self.calls.append((token, str(request.url)))
        body = self._answers[token, f"{path} {status}".strip()]
        raw = HTTPResponse(
            body=io.BytesIO(body),
            headers={"Content-Type": "application/json", "Content-Length": str(len(body))},
            status=200,
            preload_content=False,
        )
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        """Nothing stays open."""

    def bare(self, calls: list[tuple[str, str]]) -> None:
        """The floor: the same calls with requests, and their JSON."""
        session = shared_session()
        for token, url in calls:
            session.get(url, headers={"Authorization": token, "Accept": "application/json"}).json()


def _answers(install: Install) -> Iterator[tuple[str, Json]]:
    app = {"id": "app", "slug": conf.app_slug, "name": "Annotate"}
    info = {"id": install.opentrain_id, "status": "ACTIVE", "scopes": install.scopes, "piiConsent": True}
    yield (
        "/installs/current",
        {"install": {**info, "organizationId": install.organization_id, "partnerApp": app}},
    )
    endpoints = [
        {"id": each.opentrain_id, "url": each.url, "eventTypes": each.event_types, "status": "ACTIVE"}
        for each in install.webhook_endpoints.all()
    ]
    yield "/webhook-endpoints", {"webhookEndpoints": endpoints}
    links = [
        {
            "id": each.opentrain_id,
            "jobId": each.job_id,
            "externalProjectId": each.external_project_id,
            "provisioningMode": each.provisioning_mode,
        }
        for each in install.project_links.all()
    ]
    yield "/project-links", {"projectLinks": links}
    contracts = list(install.contracts.select_related("trainer"))
    listed = [_contract(each, [str(link["id"]) for link in links]) for each in contracts]
    yield "/contracts", {"contracts": listed}
    yield "/contracts active", {"contracts": listed}
    yield "/contracts ended", {"contracts": []}
    for each in contracts:
        yield f"/contracts/{each.opentrain_id}/budget", _budget(each)
        yield (
            f"/contracts/{each.opentrain_id}/participants",
            {"contractId": each.opentrain_id, "participants": [_participant(each.trainer)]},
        )


def _contract(contract: Contract, links: list[str]) -> Json:
    return {
        "id": contract.opentrain_id,
        "status": contract.status,
        "jobId": contract.job_id,
        "title": contract.title,
        "startDate": contract.start_at and contract.start_at.isoformat(),
        "endDate": None,
        "projectLinkIds": links,
    }


def _budget(contract: Contract) -> Json:
    return {
        "contractId": contract.opentrain_id,
        "paymentType": "PAY_PER_HOUR",
        "state": "OK",
        "fundedVolume": 100,
        "consumedVolume": 10,
        "remainingVolume": 90,
        "consumedFraction": 0.1,
    }


def _participant(trainer: Participant | None) -> Json:
    assert trainer is not None
    return {
        "opentrainUserId": trainer.opentrain_user_id,
        "displayName": trainer.display_name,
        "country": trainer.country,
        "profileUrl": trainer.profile_url,
        "workEmail": trainer.work_email,
    }


@contextmanager
def answering() -> Iterator[Answers]:
    """OpenTrain answers for the installs that there are."""
    session, answers = shared_session(), Answers()
    before = dict(session.adapters)
    session.mount(conf.base_url, answers)
    try:
        yield answers
    finally:
        session.adapters.clear()
        session.adapters.update(before)
