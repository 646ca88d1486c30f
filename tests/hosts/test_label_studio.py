"""The kit's checks inside Label Studio, with the settings, URLs and adapter of docs/how-to/label-studio.md."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from django_opentrain.adapters import OpenTrainAdapter
from django_opentrain.adapters.label_studio import model
from django_opentrain.models import AccessGrant
from django_opentrain.services.access import bindings
from django_opentrain.testing.kit import OpenTrain
from tests.hosts.checks import HOME, PASSWORD, HostChecks, submit
from tests.hosts.studio import browser_of, choice, keys_of, make_member, make_owner, make_project

if not apps.is_installed("organizations"):
    pytest.skip("not inside Label Studio: run tox -e label-studio", allow_module_level=True)


class TestLabelStudio(HostChecks):
    @pytest.fixture(autouse=True)
    def _organizations(self, db: None) -> None:
        self.manager, other = make_owner("acme"), make_owner("globex")
        organization = self.manager.active_organization
        self.tenant, self.other_tenant = str(organization.pk), str(other.active_organization.pk)
        self.stranger = make_member(organization, "member@site.example")
        self.project_id, self.other_project_id = (
            str(make_project(self.manager, title).pk) for title in ("Invoices", "Street signs")
        )

    def sign_in(self, email: str, password: str) -> Client:
        browser = Client()
        submit(browser, "/user/login/", email=email, password=password)
        return browser

    def browser_of(self, user: Any) -> Client:
        return browser_of(user)

    def opens(self, client: Client, project_id: str, **headers: str) -> bool:
        # The page is the same for all who are signed in; its content comes from here.
        return client.get(f"/api/projects/{project_id}/", headers=headers).status_code == 200

    def keys(self, user: Any, browser: Client) -> Mapping[str, Mapping[str, str]]:
        return keys_of(browser)

    def remove_by_hand(self, grant: AccessGrant) -> None:
        url = f"/api/organizations/{self.tenant}/memberships/{grant.host_user_ref}/"
        assert self.browser_of(self.manager).delete(url).status_code == 204

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        project = model("projects.Project").objects.get(pk=grant.external_project_id)
        browser = self.browser_of(model("users.User").objects.get(pk=grant.host_user_ref))
        for number in range(tasks):
            task = model("tasks.Task").objects.create(project=project, data={"text": "Invoice 17"})
            # All of the time and of the labels is in the first one.
            annotation = {
                "result": [choice(str(label)) for label in range(labels if number == 0 else 0)],
                "lead_time": seconds if number == 0 else 0,
            }
            submitted = browser.post(
                f"/api/tasks/{task.pk}/annotations/", annotation, content_type="application/json"
            )
            assert submitted.status_code == 201, submitted.content

    def test_nobody_comes_back_by_signing_up(self, linked: OpenTrain, adapter: OpenTrainAdapter) -> None:
        """Neither by the open page nor by an invitation that was passed on."""
        maria = linked.hire()
        linked.run()
        owner = self.browser_of(self.manager)
        invitation = owner.get("/api/invite").json()["invite_url"]
        linked.end(maria)
        linked.run()
        for number, url in enumerate(["/user/signup/", invitation]):
            form = {"email": f"maria{number}@site.example", "password": PASSWORD}
            assert submit(Client(), url, **form).status_code == 403
        invitation = owner.get("/api/invite").json()["invite_url"]
        adapter.revoke_access(maria.grant)
        guest = {"email": "guest@site.example", "password": PASSWORD}
        assert submit(Client(), invitation, **guest).status_code == 302, "the new one holds"

    def test_what_was_made_since_the_hire_is_named_at_its_end(
        self, linked: OpenTrain, adapter: OpenTrainAdapter, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Webhooks and members: with a URL's host only, and without e-mail addresses."""
        maria = linked.hire()
        linked.run()
        linked.travel(hours=1)
        owner = self.browser_of(self.manager)
        made = owner.post(
            "/api/webhooks/",
            {"url": "https://8.8.8.8/secret", "project": self.project_id, "is_active": False},
        )
        assert made.status_code == 201, made.content
        guest = {"email": "guest@site.example", "password": PASSWORD}
        submit(Client(), owner.get("/api/invite").json()["invite_url"], **guest)
        user = model("users.User").objects.get(email=guest["email"])
        linked.end(maria)
        with caplog.at_level(logging.WARNING, logger="django_opentrain"):
            linked.run()
        assert f"webhook {made.json()['id']} to 8.8.8.8" in caplog.text
        linked.travel(hours=1)
        owner.post("/api/webhooks/", {"url": "https://8.8.8.8/later", "is_active": False})
        webhook, member = adapter.left_behind(maria.grant)
        assert webhook.startswith(f"webhook {made.json()['id']} to 8.8.8.8, made ")
        assert member.startswith(f"account {user.pk}, a member since ")

    def test_removal_is_proven_only_with_the_settings(
        self, linked: OpenTrain, adapter: OpenTrainAdapter, settings: Any
    ) -> None:
        model("projects.Project").objects.get(pk=self.project_id).delete()
        linked.link(self.other_project_id)
        assert adapter.check_revocation() is None
        settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "opentrain" not in each]
        assert "MIDDLEWARE" in str(adapter.check_revocation())

    def test_a_member_from_before_is_let_in_once_an_operator_consents(self, linked: OpenTrain) -> None:
        """In other letters, too; their account stays, their membership ends."""
        self.stranger.email = "Maria.S@opentrain.work"
        self.stranger.save()
        maria = linked.hire(work_email="maria.s@opentrain.work")
        linked.run()
        assert maria.grant.state == AccessGrant.State.FAILED
        assert "opentrain_bind" in maria.grant.last_error
        bindings.bind(maria.grant, "operator")
        linked.run()
        assert maria.grant.host_user_ref == str(self.stranger.pk)
        assert self.can_enter(maria.grant)
        linked.end(maria)
        linked.run()
        self.stranger.refresh_from_db()
        assert self.stranger.is_active
        assert not self.can_enter(maria.grant)

    def test_their_organizations_owner_consents_for_it_alone(self, linked: OpenTrain) -> None:
        self.stranger.email = "Maria.S@opentrain.work"
        self.stranger.save()
        maria = linked.hire(work_email="maria.s@opentrain.work")
        linked.run()
        browser = self.browser_of(self.manager)
        page = f"{HOME}grants/{maria.grant.pk}/use-account/"
        assert "m•••@opentrain.work" in browser.get(page).content.decode()
        other = make_owner("third").active_organization
        other.add_user(self.stranger)
        assert submit(browser, page, account=str(self.stranger.pk)).status_code == 409, "in two"
        model("organizations.OrganizationMember").objects.get(
            organization=other, user=self.stranger
        ).soft_delete()
        assert submit(browser, page, account=str(self.stranger.pk)).status_code == 302
        linked.run()
        assert maria.grant.host_user_ref == str(self.stranger.pk)
        assert self.can_enter(maria.grant)

    def test_an_owner_who_was_hired_keeps_the_organization(self, linked: OpenTrain) -> None:
        """Their membership is not what the contract gave."""
        self.manager.email = "maria.s@opentrain.work"
        self.manager.save()
        maria = linked.hire(work_email="maria.s@opentrain.work")
        linked.run()
        bindings.bind(maria.grant, "operator")
        linked.run()
        assert maria.grant.host_user_ref == str(self.manager.pk)
        linked.end(maria)
        linked.run()
        assert maria.grant.state == AccessGrant.State.REVOKED
        assert self.opens(self.browser_of(self.manager), self.project_id)
