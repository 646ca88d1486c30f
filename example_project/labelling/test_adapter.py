"""This platform's adapter keeps the kit's promises."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from django_opentrain.models import AccessGrant
from django_opentrain.testing import AdapterConformance
from example_project.labelling.models import Seat, Team
from example_project.labelling.views import keep_label


class TestLabellingAdapter(AdapterConformance):
    totals = ("total_seconds", "labels_completed")

    @pytest.fixture(autouse=True)
    def _two_teams(self, db: None) -> None:
        team, other_team = Team.objects.create(name="Acme"), Team.objects.create(name="Globex")
        self.tenant, self.other_tenant = str(team.pk), str(other_team.pk)
        self.project_id = str(team.projects.create(name="Invoices").pk)
        self.other_project_id = str(team.projects.create(name="Street signs").pk)

    def can_enter(self, grant: AccessGrant) -> bool:
        user = User.objects.filter(pk=grant.host_user_ref or 0).first()
        if user is None:
            return False
        browser = Client()
        browser.force_login(user)
        return browser.get(reverse("label", args=[grant.external_project_id])).status_code == 200

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        seat = Seat.objects.get(user__pk=grant.host_user_ref, project=int(grant.external_project_id))
        for number in range(labels):
            task = seat.project.tasks.create(text="Invoice 17")
            keep_label(seat, task, "paid", seconds if number == 0 else 0)
