"""A host for the services: an adapter that keeps access in a set, and can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import pytest

from django_opentrain.adapters import DayUsage, OpenTrainAdapter, Project
from django_opentrain.models import AccessGrant, Contract
from django_opentrain.testing.kit import OpenTrain
from tests.played import a_linked_project


class Host:
    """The site under test, as the services see it. One per test."""

    def __init__(self) -> None:
        self.projects = {"acme": ["p1", "p2", "p3"], "globex": ["g1"]}
        #: (trainer, project) for each open door.
        self.inside: set[tuple[str, str]] = set()
        self.calls: list[tuple[str, str, str]] = []
        self.emails: dict[str, str] = {}
        self.days: list[DayUsage] = []
        self.budgets: list[tuple[str, str]] = []
        #: Raised by every call of that name while it is set.
        self.failing: dict[str, Exception] = {}
        #: What happens elsewhere during the next call: once.
        self.during_call: Callable[[AccessGrant], object] | None = None


host = Host()


class RecordingAdapter(OpenTrainAdapter):
    """Everything is in ``host``."""

    def get_tenant(self, request: Any) -> str | None:
        return "acme"

    def can_manage(self, request: Any, tenant: str) -> bool:
        return True

    def list_projects(self, tenant: str) -> Iterable[Project]:
        return [Project(id=each, name=each.upper()) for each in host.projects.get(tenant, ())]

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        return next((each for each in self.list_projects(tenant) if each.id == external_project_id), None)

    def grant_access(self, grant: AccessGrant) -> str:
        self._called("grant_access", grant)
        host.inside.add((grant.participant.opentrain_user_id, grant.external_project_id))
        host.emails[grant.participant.opentrain_user_id] = str(grant.participant.work_email)
        return f"user-{grant.participant.opentrain_user_id}"

    def revoke_access(self, grant: AccessGrant) -> None:
        self._called("revoke_access", grant)
        host.inside.discard((grant.participant.opentrain_user_id, grant.external_project_id))

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        if error := host.failing.get("collect_usage"):
            raise error
        return [day for day in host.days if since <= day.work_date <= until]

    def budget_changed(self, contract: Contract, previous_state: str) -> None:
        if error := host.failing.get("budget_changed"):
            raise error
        host.budgets.append((previous_state, contract.budget_state))

    def _called(self, name: str, grant: AccessGrant) -> None:
        if during_call := host.during_call:
            host.during_call = None
            during_call(grant)
        if error := host.failing.get(name):
            raise error
        host.calls.append((name, grant.participant.opentrain_user_id, grant.external_project_id))


@pytest.fixture(autouse=True)
def site(settings: Any) -> Host:
    """The host, empty."""
    host.__init__()  # type: ignore[misc] # the adapter's module refers to this one object
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.RecordingAdapter"}
    return host


@pytest.fixture
def linked(opentrain: OpenTrain) -> OpenTrain:
    """A customer who is connected and has linked a project."""
    a_linked_project(opentrain)
    return opentrain
