"""The conformance checks: the default adapter passes, and each broken one is found out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.contrib.auth.models import User

from django_opentrain.adapters import get_adapter
from django_opentrain.models import AccessGrant
from django_opentrain.testing.conformance import AdapterConformance
from tests.testing.hosts import WORK, GroupAdapter, Work


class TestGroupAdapter(AdapterConformance):
    """DjangoUsersAdapter, with the least that a site adds."""

    project_id = "1"
    other_project_id = "2"
    totals = ("total_seconds", "labels_completed")

    @pytest.fixture(autouse=True)
    def _no_work_yet(self) -> Iterator[None]:
        yield
        WORK.clear()

    def can_enter(self, grant: AccessGrant) -> bool:
        user = User.objects.filter(pk=grant.host_user_ref or 0, is_active=True).first()
        adapter = get_adapter()
        assert isinstance(adapter, GroupAdapter)
        return user is not None and adapter.has_project(user, grant)

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        WORK.append(Work(grant.host_user_ref, grant.external_project_id, at, seconds, labels))
