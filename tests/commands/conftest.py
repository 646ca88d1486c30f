"""A site whose projects need no models, for commands that talk to OpenTrain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from django_opentrain.adapters import Project
from django_opentrain.adapters.users import DjangoUsersAdapter


class AnyProjectAdapter(DjangoUsersAdapter):
    """Every project is everybody's."""

    def list_projects(self, tenant: str) -> Iterable[Project]:
        return []

    def get_project(self, tenant: str, external_project_id: str) -> Project:
        return Project(id=external_project_id)


@pytest.fixture
def any_project(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.AnyProjectAdapter"}
