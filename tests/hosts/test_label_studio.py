"""The kit's checks inside Label Studio, with the settings, URLs and adapter that docs/hosts.md names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client

from django_opentrain.adapters import OpenTrainAdapter
from django_opentrain.adapters.label_studio import model
from django_opentrain.models import AccessGrant
from django_opentrain.services.access import bindings
from django_opentrain.testing.kit import OpenTrain
from tests.hosts.checks import HOME, PASSWORD, HostChecks, submit

if not apps.is_installed("organizations"):
    pytest.skip("not inside Label Studio: run tox -e label-studio", allow_module_level=True)

CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="kind" toName="text" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>
</View>
"""
one_for_all = pytest.mark.xfail(
    strict=True,
    reason="Label Studio's community edition has no access per project: a member sees them all",
)


def make_owner(name: str) -> Any:
    """A user who signed up, with an organization of their own."""
    owner = model("users.User").objects.create(email=f"{name}@site.example", username=name)
    organization = model("organizations.Organization").create_organization(
        created_by=owner, title=name, legacy_api_tokens_enabled=True
    )
    owner.active_organization = organization
    owner.save()
    return owner


class TestLabelStudio(HostChecks):
    @pytest.fixture(autouse=True)
    def _organizations(self, db: None) -> None:
        self.manager, other = make_owner("acme"), make_owner("globex")
        organization = self.manager.active_organization
        self.tenant, self.other_tenant = str(organization.pk), str(other.active_organization.pk)
        self.stranger = model("users.User").objects.create(
            email="member@site.example", active_organization=organization
        )
        organization.add_user(self.stranger)
        projects = model("projects.Project").objects
        self.project_id, self.other_project_id = (
            str(
                projects.create(
                    title=title, organization=organization, created_by=self.manager, label_config=CONFIG
                ).pk
            )
            for title in ("Invoices", "Street signs")
        )

    def sign_in(self, email: str, password: str) -> Client:
        browser = Client()
        submit(browser, "/user/login/", email=email, password=password)
        return browser

    def browser_of(self, user: Any) -> Client:
        browser = super().browser_of(user)
        session = browser.session
        # A session without it is too old.
        session["last_login"] = time.time()
        session.save()
        browser.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
        return browser

    def opens(self, client: Client, project_id: str, **headers: str) -> bool:
        # The page is the same for all who are signed in; its content comes from here.
        return client.get(f"/api/projects/{project_id}/", headers=headers).status_code == 200

    def keys(self, user: Any, browser: Client) -> Mapping[str, Mapping[str, str]]:
        token = browser.get("/api/current-user/token").json()["token"]
        refresh = browser.post("/api/token/").json()["token"]
        access = Client().post("/api/token/refresh/", {"refresh": refresh}).json()["access"]
        return {
            "legacy token": {"Authorization": f"Token {token}"},
            "JWT": {"Authorization": f"Bearer {access}"},
        }

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
        """Neither by the open page nor by the invitation that each member can read."""
        maria = linked.hire()
        linked.run()
        browser = self.browser_of(model("users.User").objects.get(pk=maria.grant.host_user_ref))
        invitation = browser.get("/api/invite").json()["invite_url"]
        linked.end(maria)
        linked.run()
        for number, url in enumerate(["/user/signup/", invitation]):
            form = {"email": f"maria{number}@site.example", "password": PASSWORD}
            assert submit(Client(), url, **form).status_code == 403
        invitation = self.browser_of(self.manager).get("/api/invite").json()["invite_url"]
        adapter.revoke_access(maria.grant)
        guest = {"email": "guest@site.example", "password": PASSWORD}
        assert submit(Client(), invitation, **guest).status_code == 302, "the new one holds"

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

    @one_for_all
    def test_each_project_is_opened_and_closed_on_its_own(self, linked: OpenTrain) -> None:
        super().test_each_project_is_opened_and_closed_on_its_own(linked)

    @one_for_all
    def test_a_hire_for_one_project_doesnt_open_another(self, linked: OpenTrain) -> None:
        super().test_a_hire_for_one_project_doesnt_open_another(linked)


def choice(number: str) -> dict[str, Any]:
    """One label, as Label Studio's editor sends it."""
    return {
        "id": number,
        "type": "choices",
        "from_name": "kind",
        "to_name": "text",
        "value": {"choices": ["a"]},
    }
