"""The platform with a host for each customer: the way back from OpenTrain, tokens, transactions of requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import connection
from django.test import Client

from django_opentrain.models import Install, ProjectLink
from django_opentrain.testing import Hire, OpenTrain, first_login

if not apps.is_installed("tests.hosts.subdomains.customers"):
    pytest.skip("not on the platform with subdomains: run tox -e inhouse", allow_module_level=True)

from django_tenants.utils import schema_context

from tests.hosts.subdomains.customers.models import Customer, Domain
from tests.hosts.subdomains.projects.models import Project

PASSWORD = "a manager's own password"
PUBLIC = "annotate.example"


def leave_schema(backend: Any = connection) -> None:
    """Act in no customer's schema, as workers do."""
    backend.set_schema_to_public()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The customers' schemas, once."""
    with django_db_blocker.unblock():
        for schema, host in (("public", PUBLIC), ("acme", f"acme.{PUBLIC}"), ("beta", f"beta.{PUBLIC}")):
            customer = Customer.objects.create(schema_name=schema)
            Domain.objects.create(tenant=customer, domain=host, is_primary=True)


@pytest.fixture(autouse=True)
def _in_no_schema(db: None) -> Iterator[None]:
    """As a worker begins, and the next test."""
    leave_schema()
    yield
    leave_schema()


def at(host: str) -> Client:
    """A browser at this host, with its cookies for it alone."""
    return Client(headers={"Host": host})


class TestSubdomains:
    """Acme's and Beta's people, each at their own host."""

    @pytest.fixture(autouse=True)
    def _acme(self, opentrain: OpenTrain) -> None:
        self.opentrain = opentrain
        self.boss = self.manager("acme")
        self.project = self.make_project("acme", "Invoices")

    def manager(self, schema: str) -> Client:
        user = User.objects.create_user(f"boss@{schema}.example", f"boss@{schema}.example", PASSWORD)
        Customer.objects.get(schema_name=schema).managers.add(user)
        browser = at(f"{schema}.{PUBLIC}")
        browser.post("/accounts/login/", {"username": user.username, "password": PASSWORD}, secure=True)
        assert "_auth_user_id" in browser.session
        return browser

    def make_project(self, schema: str, name: str) -> int:
        with schema_context(schema):
            return int(Project.objects.create(name=name).pk)

    def approve(self, browser: Client) -> Any:
        """To OpenTrain's consent screen, and its yes."""
        answer = browser.post("/opentrain/connect/", {"project": str(self.project)}, secure=True)
        found = re.search(r'href="(https://app\.opentrain\.ai/[^"]+)"', answer.content.decode())
        assert found, answer.content
        query = parse_qs(urlsplit(unescape(found[1])).query)
        asked: dict[str, Any] = {name: values[0] for name, values in query.items()}
        assert asked["redirect_uri"] == f"https://{PUBLIC}/opentrain/callback/"
        return self.opentrain.sandbox.approve(**asked)

    def connected(self) -> Install:
        approval = self.approve(self.boss)
        returned = urlsplit(approval.return_url)
        forwarded = at(returned.netloc).get(f"{returned.path}?{returned.query}", secure=True)
        onward = urlsplit(forwarded["Location"])
        assert onward.netloc == f"acme.{PUBLIC}"
        token_page = self.boss.get(f"{onward.path}?{onward.query}", secure=True)["Location"]
        done = self.boss.post(token_page, {"token": approval.token}, secure=True)
        assert done.status_code == 302, done.content
        self.run()
        return Install.objects.get(tenant="acme")

    def run(self) -> None:
        leave_schema()
        self.opentrain.run()

    def hired(self) -> Hire:
        install = self.connected()
        job = self.opentrain.sandbox.create_job("Invoices", organization_id=install.organization_id)
        form = {"project": str(self.project), "job_id": job.id, "provisioning_mode": "PARTNER_WEBHOOK"}
        linked = self.boss.post(f"/opentrain/installs/{install.pk}/links/", form, secure=True)
        assert linked.status_code == 302, linked.content
        contract = self.opentrain.sandbox.hire("Maria S.", job_id=job.id).contract
        self.run()
        link = ProjectLink.objects.get()
        trainer = link.grants.get().participant
        email = str(trainer.work_email)
        return Hire(id=contract.id, opentrain_user_id=trainer.opentrain_user_id, work_email=email)

    # ----------------------------------------------------------------------------------------------

    def test_the_site_passes_our_checks(self) -> None:
        assert [message for message in run_checks() if str(message.id).startswith("opentrain.")] == []

    def test_the_way_back_leads_to_the_customers_host(self) -> None:
        assert self.connected().status == Install.Status.ACTIVE

    def test_another_customers_manager_gets_no_further(self) -> None:
        beta = self.manager("beta")
        returned = urlsplit(self.approve(self.boss).return_url)
        path = f"{returned.path}?{returned.query}"
        assert beta.get(f"{path}&forwarded=1", secure=True).status_code == 400
        assert urlsplit(beta.get(path, secure=True)["Location"]).netloc == f"acme.{PUBLIC}"
        assert not Install.objects.exists()

    def test_projects_with_the_same_id_are_each_their_own(self) -> None:
        self.make_project("beta", "Letters")
        maria = self.hired()
        assert maria.grant.external_project_id == str(self.project)
        page = self.manager("beta").get("/opentrain/", secure=True).content.decode()
        assert "Letters" not in page
        assert "Maria S." not in page

    def tokens(self, maria: Hire) -> dict[str, str]:
        form = {"username": maria.work_email, "password": first_login.PASSWORD}
        answer = at(f"acme.{PUBLIC}").post("/api/token/", form, secure=True)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def status(self, access: str, schema: str = "acme") -> int:
        headers = {"Authorization": f"Bearer {access}"}
        path = f"/api/projects/{self.project}/"
        return at(f"{schema}.{PUBLIC}").get(path, headers=headers, secure=True).status_code

    def test_json_web_tokens_end_with_the_access(self) -> None:
        maria = self.hired()
        self.opentrain.first_login(maria)
        tokens = self.tokens(maria)
        assert self.status(tokens["access"]) == 200
        self.opentrain.end(maria)
        self.run()
        assert self.status(tokens["access"]) == 401
        form = {"refresh": tokens["refresh"]}
        assert at(f"acme.{PUBLIC}").post("/api/token/refresh/", form, secure=True).status_code == 401

    def test_what_a_request_rolls_back_is_not_on_opentrain(
        self, django_capture_on_commit_callbacks: Any
    ) -> None:
        """ATOMIC_REQUESTS is on."""
        self.connected()
        with django_capture_on_commit_callbacks() as callbacks:
            made = self.boss.post("/projects/", {"name": "Street signs"}, secure=True)
        assert made.status_code == 201
        assert not ProjectLink.objects.exists()
        leave_schema()
        for callback in callbacks:
            callback()
        assert ProjectLink.objects.get().external_project_id == made.content.decode()

    def test_each_page_has_one_policy(self) -> None:
        theirs = at(PUBLIC).get("/accounts/login/", secure=True)
        assert "form-action 'self'" in theirs["Content-Security-Policy"]
        page = self.boss.get("/opentrain/", secure=True)
        assert page["Content-Security-Policy"].startswith("default-src 'none'")
