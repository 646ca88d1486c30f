"""The kit's checks inside doccano, with the settings, URLs and adapter that docs/hosts.md names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from django_opentrain.adapters.doccano import model
from django_opentrain.models import AccessGrant
from django_opentrain.testing.kit import OpenTrain
from tests.hosts.checks import HostChecks

if not apps.is_installed("examples"):
    pytest.skip("not inside doccano: run tox -e doccano", allow_module_level=True)


def make_project(administrator: User, name: str) -> Any:
    """A project as its page makes it."""
    project = model("projects.TextClassificationProject").objects.create(
        name=name, created_by=administrator, project_type="DocumentClassification"
    )
    project.add_admin()
    return project


class TestDoccano(HostChecks):
    totals = ("tasks_completed", "labels_completed")

    @pytest.fixture(autouse=True)
    def _projects(self, db: None) -> None:
        call_command("create_roles")
        self.manager, other = (User.objects.create(username=name) for name in ("acme", "globex"))
        self.stranger = User.objects.create(username="reader")
        self.tenant, self.other_tenant = str(self.manager.pk), str(other.pk)
        self.project_id = str(make_project(self.manager, "Invoices").pk)
        self.other_project_id = str(make_project(self.manager, "Street signs").pk)
        make_project(other, "Letters")

    def sign_in(self, email: str, password: str) -> Client:
        browser = Client()
        browser.post("/v1/auth/login/", {"username": email, "password": password})
        return browser

    def opens(self, client: Client, project_id: str, **headers: str) -> bool:
        # The page is the same for everybody; its content comes from here.
        return client.get(f"/v1/projects/{project_id}/examples", headers=headers).status_code == 200

    def keys(self, user: Any, browser: Client) -> Mapping[str, Mapping[str, str]]:
        token = model("authtoken.Token").objects.get(user=user).key
        return {"token": {"Authorization": f"Token {token}"}}

    def remove_by_hand(self, grant: AccessGrant) -> None:
        role = model("projects.Member").objects.get(
            project=grant.external_project_id, user=grant.host_user_ref
        )
        url = f"/v1/projects/{grant.external_project_id}/members"
        removed = self.browser_of(self.manager).delete(url, {"ids": [role.pk]}, "application/json")
        assert removed.status_code == 204

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        project = model("projects.Project").objects.get(pk=grant.external_project_id)
        browser = self.browser_of(User.objects.get(pk=grant.host_user_ref))
        for number in range(tasks):
            example = project.examples.create(text="Invoice 17")
            path = f"/v1/projects/{project.pk}/examples/{example.pk}"
            # All of the labels are on the first one.
            for label in range(labels if number == 0 else 0):
                kind, _ = project.categorytype_set.get_or_create(text=f"kind {label}")
                labelled = browser.post(f"{path}/categories", {"label": kind.pk}, "application/json")
                assert labelled.status_code == 201, labelled.content
            assert browser.post(f"{path}/states").status_code == 201

    def test_a_user_name_is_in_lower_case(self, linked: OpenTrain) -> None:
        maria = linked.hire(work_email="Maria.S@opentrain.work")
        linked.run()
        user = User.objects.get(pk=maria.grant.host_user_ref)
        assert user.username == "maria.s@opentrain.work"
        assert user.email == "Maria.S@opentrain.work"

    def test_an_administrator_who_was_hired_keeps_the_project(self, linked: OpenTrain) -> None:
        """Their role is not what the contract gave."""
        self.manager.email = "maria.s@opentrain.work"
        self.manager.save()
        maria = linked.hire(work_email="maria.s@opentrain.work")
        linked.run()
        assert maria.grant.host_user_ref == self.tenant
        linked.end(maria)
        linked.run()
        assert self.opens(self.browser_of(self.manager), self.project_id)
