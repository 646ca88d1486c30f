"""The customer's way through a real browser, with a local OpenTrain as another site."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core import mail
from django.template import Template
from django.test import Client, override_settings
from django.test.signals import template_rendered
from django.utils import timezone

from django_opentrain.models import AccessGrant, Install, ProjectLink, WebhookEndpoint
from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.server import SandboxServer
from django_opentrain.services import sweep
from django_opentrain.services.access import invitations
from tests import factories
from tests.e2e.browser import Browser, chromium
from tests.services.test_invitations import hire
from tests.web.conftest import ADAPTER
from tests.web.markup import Page
from tests.web.scenes import full_scene
from tests.web.test_decorators import check_markup

PASSWORD = "correct horse battery"

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """OpenTrain on 127.0.0.1; the site is on localhost, which for a browser is another site."""
    sandbox = Sandbox()
    server = SandboxServer()
    sandbox.base_url = server.url
    server.start(sandbox.app)
    yield sandbox
    server.stop()
    sandbox.close()


@pytest.fixture
def site(live_server: object, sandbox: Sandbox) -> Iterator[str]:
    """The site's address. Its session cookie doesn't come along from other sites."""
    origin = str(live_server)
    opentrain = {**settings.OPENTRAIN, "ADAPTER": ADAPTER, "BASE_URL": sandbox.base_url, "PUBLIC_URL": origin}
    with override_settings(OPENTRAIN=opentrain, SESSION_COOKIE_SAMESITE="Strict"):
        yield origin


@pytest.fixture
def browser(site: str) -> Iterator[Browser]:
    """Logged in as the manager of "acme"."""
    client = Client()
    client.force_login(factories.make_user("acme-boss"))
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    with chromium() as browser:
        browser.open(f"{site}/opentrain/set-password/done/")
        browser.driver.add_cookie(
            {"name": settings.SESSION_COOKIE_NAME, "value": value, "sameSite": "Strict", "httpOnly": True}
        )
        yield browser


@pytest.fixture
def rendered() -> Iterator[list[str]]:
    """The names of the templates that the site's pages were made of."""
    names: list[str] = []

    def note(template: Template, **_others: object) -> None:
        names.append(str(template.name))

    template_rendered.connect(note)
    yield names
    template_rendered.disconnect(note)


def check(browser: Browser) -> None:
    """The page as it is: sound, accessible, without complaints, and fit for a small screen."""
    check_markup(Page(browser.driver.page_source))
    browser.resize(400)
    assert browser.overflow() <= 0, browser.driver.current_url
    browser.resize(1200)
    assert browser.complaints() == []


def connect(browser: Browser, site: str) -> None:
    browser.open(f"{site}/opentrain/")
    check(browser)
    browser.press("Connect to OpenTrain")
    browser.press("Approve")
    token = browser.read("opentrain-token")
    assert browser.complaints() == []
    browser.press_id("opentrain-return")
    browser.wait(lambda: "One step is left" in browser.text)
    check(browser)
    browser.fill("Token", token)
    browser.press("Connect")
    assert "Connected to OpenTrain." in browser.text
    check(browser)


def test_from_connecting_to_a_hire_and_its_end(
    browser: Browser, site: str, sandbox: Sandbox, rendered: list[str]
) -> None:
    connect(browser, site)
    assert "opentrain/returning.html" in rendered  # the Strict cookie had stayed behind
    assert "being set up" in browser.text
    sweep.run()
    browser.wait(lambda: "Link a project" in browser.text)  # the page has reloaded itself
    assert WebhookEndpoint.objects.get().status == WebhookEndpoint.Status.ACTIVE

    job = sandbox.create_job("Boxes")
    browser.fill("Project", "Acme project 2")
    browser.fill("OpenTrain job", f"{sandbox.base_url}/jobs/{job.id}")
    browser.press("Link")
    assert "The project is linked." in browser.text
    check(browser)

    browser.press("Settings")
    check(browser)
    browser.tick("Stop work when the budget is used up")
    browser.tick("Hours are tracked elsewhere: report only tasks and labels")
    browser.press("Save")
    assert "The settings are saved." in browser.text
    assert "Work stops while a budget is used up." in browser.text
    check(browser)

    contract, _trainer = sandbox.hire("Maria S.", job_id=job.id, work_email="never")
    sandbox.fund(contract.id, 100, 40)
    assert sandbox.deliver_due()
    sweep.run()
    browser.open(f"{site}/opentrain/")
    assert "Maria S." in browser.text
    assert "Waiting for a Work Email" in browser.text
    assert "0 of 40 funded hours used" in browser.text
    check(browser)
    browser.press("Maria S.")
    assert "Reported work" in browser.text
    check(browser)

    browser.open(f"{site}/opentrain/")
    browser.press("Unlink")
    check(browser)
    browser.press("Unlink")
    assert "The project is unlinked" in browser.text
    assert AccessGrant.objects.get().desired == AccessGrant.Desired.REVOKED
    check(browser)

    browser.press("Disconnect")
    check(browser)
    browser.press("Disconnect")
    assert Install.objects.get().status == Install.Status.DISCONNECTED
    assert "You disconnected this site" in browser.text
    check(browser)


@pytest.mark.urls("tests.e2e.host_urls")
def test_a_hosts_page_with_a_policy_of_its_own_connects(browser: Browser, site: str) -> None:
    browser.open(f"{site}/projects/2/")
    browser.press("Hire AI trainers")
    browser.press("Decline")
    browser.wait(lambda: "Nothing was connected" in browser.text)
    assert browser.complaints() == []
    # What would be dead: a redirect.
    browser.open(f"{site}/projects/2/")
    button = browser.driver.find_element("tag name", "button")
    browser.driver.execute_script("document.forms[0].action = '/redirects/'")
    button.click()
    browser.wait(lambda: any("form-action" in each for each in browser.complaints()))
    assert browser.driver.current_url == f"{site}/projects/2/"


def test_a_trainer_from_the_mail_to_the_project(site: str) -> None:
    adapter = "django_opentrain.adapters.users.DjangoUsersAdapter"
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": adapter}), chromium() as browser:
        hire("maria")
        ProjectLink.objects.update(external_project_url=f"{site}/projects/signs/")
        invitations.send_due()
        link, _work = re.findall(r"https?://\S+", str(mail.outbox[0].body))
        browser.open(link)
        check(browser)
        browser.fill("New password", PASSWORD)
        browser.fill("New password confirmation", PASSWORD)
        browser.press("Set password")
        check(browser)
        browser.press("Sign in")
        browser.driver.find_element("name", "username").send_keys("maria@opentrain.work")
        browser.driver.find_element("name", "password").send_keys(f"{PASSWORD}\n")
        browser.wait(lambda: browser.text == "signs: maria@opentrain.work")
        browser.open(link)
        assert "no longer valid" in browser.text


def test_connecting_again_needs_no_scrolling_on_a_phone(browser: Browser, site: str) -> None:
    scene = full_scene()
    Install.objects.filter(pk=scene.install.pk).update(
        status=Install.Status.UNAUTHORIZED,
        refused_at=timezone.now(),
        last_error="The token was revoked on OpenTrain. (request req_0123456789)",
        last_error_code="RECONNECT_REQUIRED",
    )
    browser.emulate(360, 640)
    browser.open(f"{site}/opentrain/")
    button = browser.driver.find_element("xpath", "//button[normalize-space(.)='Connect again']")
    assert button.rect["y"] + button.rect["height"] <= 640
    assert "Review" in browser.text


def test_declining_says_what_to_do(browser: Browser, site: str) -> None:
    browser.open(f"{site}/opentrain/")
    browser.press("Connect to OpenTrain")
    browser.press("Decline")
    browser.wait(lambda: "Nothing was connected" in browser.text)
    check(browser)


def test_a_wrong_token_is_told_beside_its_field(browser: Browser, site: str) -> None:
    browser.open(f"{site}/opentrain/")
    browser.press("I have a token already")
    browser.fill("Token", "ot_ptk_wrong")
    browser.press("Connect")
    field = browser.driver.find_element("name", "token")
    assert field.get_attribute("value") == ""
    assert "doesn't accept this token" in browser.text
    # The answer is a 400, which the console mentions.
    assert [line for line in browser.complaints() if "400 (Bad Request)" not in line] == []
