"""The in-house platform: the kit's checks, and the whole loop as its people see it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install
from django_opentrain.testing import FirstLoginFailed, Hire, OpenTrain, first_login
from tests import factories
from tests.hosts.checks import HostChecks

if not apps.is_installed("tests.hosts.inhouse"):
    pytest.skip("not on the in-house platform: run tox -e inhouse", allow_module_level=True)

from allauth.account.models import EmailAddress
from guardian.shortcuts import remove_perm
from knox.models import AuthToken
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from django_opentrain.admin import ADMINS
from tests.hosts.inhouse.models import Membership, Organization, Project, User

PASSWORD = "a manager's own password"
WORK_EMAIL = "maria.s@opentrain.work"


def make_organization(name: str, manager: User | None = None) -> Organization:
    organization = Organization.objects.create(name=name)
    if manager is not None:
        Membership.objects.create(organization=organization, user=manager, is_manager=True)
    return organization


def sign_in(email: str, password: str = PASSWORD) -> Client:
    """By the site's own page."""
    browser = Client()
    browser.post("/accounts/login/", {"login": email, "password": password})
    return browser


def browser_of(user: Any) -> Client:
    """A browser with a session of this user's."""
    browser = Client()
    browser.force_login(user)
    return browser


def verify(user: User) -> None:
    """What the one does who reads the mail at that address: without it no one can log in."""
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, primary=True, defaults={"verified": True}
    )


def label(browser: Client, project: Project) -> None:
    """Label a new task on the project's page."""
    task = project.tasks.create(text="Invoice 17")
    assert "Invoice 17" in browser.get(project.get_absolute_url()).content.decode()
    answer = browser.post(f"{project.get_absolute_url()}label/", {"task": task.pk, "label": "paid"})
    assert answer.status_code == 302, answer.content


class TestInhouse(HostChecks):
    """What the kit and every host's tests ask for."""

    totals = ("tasks_completed",)

    @pytest.fixture(autouse=True)
    def _organizations(self, db: None) -> None:
        self.manager = User.objects.create_user("boss@acme.example", PASSWORD)
        self.stranger = User.objects.create_user("reader@site.example", PASSWORD)
        self.acme, self.globex = make_organization("Acme", self.manager), make_organization("Globex")
        self.tenant, self.other_tenant = str(self.acme.pk), str(self.globex.pk)
        self.project = self.acme.projects.create(name="Invoices")
        self.project_id = str(self.project.pk)
        self.other_project_id = str(self.acme.projects.create(name="Street signs").pk)

    def sign_in(self, email: str, password: str) -> Client:
        return sign_in(email, password)

    def opens(self, client: Client, project_id: str, **headers: str) -> bool:
        path = f"/api/projects/{project_id}/" if headers else f"/projects/{project_id}/"
        return client.get(path, headers=headers).status_code == 200

    def keys(self, user: Any, browser: Client) -> Mapping[str, Mapping[str, str]]:
        _row, token = AuthToken.objects.create(user)
        return {"knox": {"Authorization": f"Token {token}"}}

    def remove_by_hand(self, grant: AccessGrant) -> None:
        remove_perm("annotate_project", User.objects.get(pk=grant.host_user_ref), self.project)

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        browser = self.browser_of(User.objects.get(pk=grant.host_user_ref))
        for _task in range(tasks):
            label(browser, Project.objects.get(pk=grant.external_project_id))


class TestItsPeople:
    """The loop, and what goes wrong in it, as managers, trainers and strangers see it."""

    @pytest.fixture(autouse=True)
    def _acme(self, opentrain: OpenTrain) -> None:
        cache.clear()  # allauth's limits: one mail in three minutes to each address
        self.opentrain = opentrain
        self.manager = User.objects.create_user("boss@acme.example", PASSWORD)
        verify(self.manager)
        self.acme = make_organization("Acme", self.manager)
        self.project = self.acme.projects.create(name="Invoices")
        self.boss = sign_in(self.manager.email)

    # What they do -------------------------------------------------------------------------------

    def connect(self, project: Project) -> Install:
        """From the button on the project's page to the pasted token."""
        page = project.get_absolute_url()
        assert "Hire AI trainers" in self.boss.get(page).content.decode()
        answer = self.boss.post("/opentrain/connect/", {"project": project.pk, "next": page})
        found = re.search(r'href="(https://app\.opentrain\.ai/[^"]+)"', answer.content.decode())
        assert found
        asked: dict[str, Any] = {
            name: values[0] for name, values in parse_qs(urlsplit(unescape(found[1])).query).items()
        }
        approval = self.opentrain.sandbox.approve(**asked)
        returned = urlsplit(str(approval.return_url))
        token_page = self.boss.get(f"{returned.path}?{returned.query}")["Location"]
        done = self.boss.post(token_page, {"token": approval.token})
        assert done.status_code == 302, done.content
        self.opentrain.run()
        return Install.objects.latest("pk")

    def link(self, install: Install) -> None:
        """By the form on the customer's page."""
        self.job = self.opentrain.sandbox.create_job("Invoices", organization_id=install.organization_id)
        form = {
            "project": self.project.pk,
            "job_id": self.job.id,
            "provisioning_mode": "PARTNER_WEBHOOK",
        }
        assert self.boss.post(f"/opentrain/installs/{install.pk}/links/", form).status_code == 302

    def hire(self, **values: Any) -> Hire:
        contract = self.opentrain.sandbox.hire("Maria S.", job_id=self.job.id, **values).contract
        self.opentrain.run()
        trainer = Contract.objects.get(opentrain_id=contract.id).grants.get().participant
        email = str(trainer.work_email)
        return Hire(id=contract.id, opentrain_user_id=trainer.opentrain_user_id, work_email=email)

    def hired(self, **values: Any) -> Hire:
        self.link(self.connect(self.project))
        return self.hire(**values)

    # The loop -----------------------------------------------------------------------------------

    def test_from_the_button_to_the_report_and_back(self) -> None:
        maria = self.hired()
        assert "Maria S." in self.boss.get(self.project.get_absolute_url()).content.decode()
        trainer = self.opentrain.first_login(maria)
        account = User.objects.get(pk=maria.grant.host_user_ref)
        assert (account.email, account.name) == (maria.work_email, "Maria S.")
        label(trainer, self.project)
        self.opentrain.travel(minutes=20)
        self.opentrain.run()
        (day,) = DailyUsage.objects.all()
        assert (day.tasks_completed, day.status) == (1, DailyUsage.Status.REPORTED)
        work_page = trainer.get("/opentrain/work/", follow=True).content.decode()
        assert "Invoices" in work_page

        self.opentrain.end(maria)
        self.opentrain.run()
        assert trainer.get(self.project.get_absolute_url()).status_code == 302, "logged out"
        assert "_auth_user_id" not in sign_in(maria.work_email, first_login.PASSWORD).session

        self.opentrain.disconnect(Install.objects.get())
        self.opentrain.run()
        again = self.connect(self.project)
        assert again.status == Install.Status.ACTIVE
        assert again.project_links.get().external_project_id == str(self.project.pk)
        maria = self.hire()
        label(self.opentrain.first_login(maria), self.project)

    # Who a trainer is ---------------------------------------------------------------------------

    def sign_up(self) -> Client:
        """A stranger signs up with the trainer's Work Email; allauth sends a mail to it."""
        browser = Client()
        form = {"email": WORK_EMAIL, "password1": PASSWORD, "password2": PASSWORD}
        browser.post("/accounts/signup/", form)
        return browser

    def test_an_account_that_has_not_proven_its_address_is_not_adopted(self) -> None:
        self.sign_up()
        maria = self.hired(work_email=WORK_EMAIL)
        assert (maria.grant.state, maria.grant.last_error_code) == ("FAILED", "ACCOUNT_EXISTS")
        account = User.objects.get(email=WORK_EMAIL)
        assert not account.has_perm("inhouse.annotate_project", self.project)
        with pytest.raises(FirstLoginFailed, match=r"The access: .* none.* nothing proves"):
            self.opentrain.first_login(maria)

    def test_one_that_has_is_adopted_and_its_tokens_end_with_the_access(self) -> None:
        browser = self.sign_up()
        link = re.search(r"/accounts/confirm-email/\S+", str(mail.outbox[-1].body))
        assert link
        browser.post(link[0])
        account = User.objects.get(email=WORK_EMAIL)
        maria = self.hired(work_email=WORK_EMAIL)
        assert maria.grant.host_user_ref == str(account.pk)
        _row, token = AuthToken.objects.create(account)
        api = f"/api/projects/{self.project.pk}/"
        headers = {"Authorization": f"Token {token}"}
        assert Client().get(api, headers=headers).status_code == 200
        self.opentrain.end(maria)
        self.opentrain.run()
        assert Client().get(api, headers=headers).status_code == 401
        assert "_auth_user_id" in sign_in(WORK_EMAIL).session, "their account stays theirs"

    # Whose a page is ----------------------------------------------------------------------------

    def test_the_object_says_whose_it_is(self) -> None:
        beta = make_organization("Beta", self.manager)
        maria = self.hired()
        self.boss.post(f"/organizations/{beta.pk}/")
        assert "Maria S." in self.boss.get(self.project.get_absolute_url()).content.decode()
        assert self.boss.get(f"/opentrain/contracts/{maria.contract.pk}/").status_code == 200
        home = self.boss.get("/opentrain/").content.decode()
        assert "Acme" in home
        assert "Maria S." not in home
        other = beta.projects.create(name="Letters")
        self.boss.post(f"/organizations/{self.acme.pk}/")
        assert self.connect(other).tenant == str(beta.pk)

    def test_others_organizations_are_closed(self) -> None:
        maria = self.hired()
        other = User.objects.create_user("boss@beta.example", PASSWORD)
        verify(other)
        make_organization("Beta", other)
        browser = sign_in(other.email)
        assert browser.get(self.project.get_absolute_url()).status_code == 403
        assert browser.get(f"/opentrain/contracts/{maria.contract.pk}/").status_code == 404

    # Policies -----------------------------------------------------------------------------------

    def test_each_page_has_one_policy(self) -> None:
        theirs = self.boss.get(self.project.get_absolute_url())["Content-Security-Policy"]
        assert "form-action 'self'" in theirs
        ours = self.boss.post("/opentrain/connect/", {"project": self.project.pk})
        assert ours["Content-Security-Policy"].startswith("default-src 'none'; ")


class TestItsAdmin:
    """unfold's, with our pages in it."""

    @pytest.fixture(autouse=True)
    def _row(self, db: None) -> None:
        root = User.objects.create_superuser("root@acme.example", PASSWORD)
        self.browser = browser_of(root)
        install = factories.make_install(connected_by=root)
        link, person = factories.make_link(install), factories.make_participant(install)
        contract = factories.make_contract(install, [link])
        self.grant = factories.make_grant(contract, link, person)
        self.contract = contract

    def page(self, url: str) -> str:
        answer = self.browser.get(url)
        assert answer.status_code == 200, url
        return answer.content.decode()

    @pytest.mark.parametrize("model", ADMINS, ids=lambda model: model.__name__)
    def test_every_list_and_row_opens(self, model: Any) -> None:
        name = f"admin:django_opentrain_{model._meta.model_name}"
        assert "unfold" in self.page(reverse(f"{name}_changelist"))
        for row in model.objects.all():
            self.page(reverse(f"{name}_change", args=[row.pk]))

    def confirmation(self, row: Any, action: str) -> str:
        name = f"admin:django_opentrain_{row._meta.model_name}_changelist"
        form = {"action": action, "_selected_action": row.pk, "from_row": "1"}
        return self.browser.post(reverse(name), form).content.decode()

    def test_buttons_look_like_its_own(self) -> None:
        row = self.page(reverse("admin:django_opentrain_accessgrant_change", args=[self.grant.pk]))
        for page in (row, self.confirmation(self.grant, "revoke")):
            (button,) = re.findall(r'<button\s+type="submit"[^>]*class="([^"]+)"[^>]*>\s*Revoke access', page)
            assert {"rounded-default", "px-3", "py-2"} <= set(button.split())

    def test_a_confirmations_fields_look_like_its_own(self) -> None:
        pages = self.confirmation(self.grant, "revoke"), self.confirmation(self.contract, "correct_day")
        for page in pages:
            fields = [each for each in re.findall(r"<input[^>]+>", page) if 'name="reason"' in each]
            assert ["border-base-200" in each for each in fields] == [True]

    def test_an_action_is_done(self) -> None:
        url = reverse("admin:django_opentrain_accessgrant_changelist")
        form = {"action": "revoke", "_selected_action": self.grant.pk, "confirmed": "yes"}
        assert self.browser.post(url, form).status_code == 302
        self.grant.refresh_from_db()
        assert self.grant.cause == "operator root@acme.example"

    def test_its_policy_is_its_own(self) -> None:
        pages = {path: self.browser.get(path)["Content-Security-Policy"] for path in ("/", "/admin/")}
        assert ["unsafe" in policy for policy in pages.values()] == [False, True]


@pytest.fixture
def browser() -> Iterator[Chrome]:
    """A headless Chromium."""
    options = ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.mark.django_db(transaction=True)
class TestInChromium:
    """What only a browser enforces."""

    def test_the_connect_button_leaves_a_page_with_a_strict_policy(
        self, live_server: Any, settings: Any, browser: Chrome
    ) -> None:
        manager = User.objects.create_user("boss@acme.example", PASSWORD)
        project = make_organization("Acme", manager).projects.create(name="Invoices")
        # Another origin than the site's: `form-action 'self'` is enforced on the way there.
        settings.OPENTRAIN = {
            **settings.OPENTRAIN,
            "BASE_URL": live_server.url.replace("localhost", "127.0.0.1"),
        }
        settings.ALLOWED_HOSTS = ["*"]
        session = browser_of(manager)
        browser.get(f"{live_server.url}/accounts/login/")
        browser.add_cookie({"name": "sessionid", "value": session.cookies["sessionid"].value})
        browser.get(live_server.url + project.get_absolute_url())
        browser.find_element("css selector", "#hire button").click()
        WebDriverWait(browser, 10).until(lambda it: "/integrations/acme-labels/connect" in it.current_url)
        assert browser.current_url.startswith("http://127.0.0.1")
