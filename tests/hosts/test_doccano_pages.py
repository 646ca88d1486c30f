"""The timer in doccano's own pages, in a real browser: an app that changes its pages without loading them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from django_opentrain.adapters.doccano import model
from django_opentrain.models import DailyUsage, WorkEntry
from django_opentrain.services import usage
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.e2e.browser import Browser, chromium
from tests.hosts.test_doccano import make_project

if not apps.is_installed("examples"):
    pytest.skip("not inside doccano: run tox -e doccano", allow_module_level=True)

pytestmark = pytest.mark.django_db(transaction=True)

RECORDING, PAUSED = "Recording your time", "Paused"
#: The beginning of the arrow that doccano draws for the next document.
NEXT = "M8.59,16.58"


@pytest.fixture
def project() -> Any:
    call_command("create_roles")
    project = make_project(User.objects.create(username="acme"), "Invoices")
    # Without one, doccano's page says that there is no such project.
    model("projects.Project").objects.filter(pk=project.pk).update(description="To label")
    project.categorytype_set.create(text="paid")
    for number in (1, 2):
        project.examples.create(text=f"Invoice {number}")
    return project


@pytest.fixture
def maria(opentrain: OpenTrain, project: Any, monkeypatch: pytest.MonkeyPatch) -> Hire:
    """Hired; from now on the site's clock runs, as the browser's does."""
    opentrain.connect(str(project.created_by_id))
    opentrain.link(str(project.pk))
    hire = opentrain.hire("Maria S.")
    opentrain.run()
    start, began = opentrain.now, time.monotonic()
    monkeypatch.setattr(timezone, "now", lambda: start + timedelta(seconds=time.monotonic() - began))
    return hire


@pytest.fixture
def browser(live_server: Any, maria: Hire) -> Iterator[Browser]:
    client = Client()
    client.force_login(User.objects.get(pk=maria.grant.host_user_ref))
    name = settings.SESSION_COOKIE_NAME
    with chromium() as browser:
        browser.resize(1400)
        browser.open(f"{live_server}/static/opentrain/timer.js")
        browser.driver.add_cookie({"name": name, "value": client.cookies[name].value, "httpOnly": True})
        yield browser


def timer(browser: Browser, selector: str) -> Any:
    script = "return document.querySelector('opentrain-timer')?.shadowRoot.querySelector(arguments[0])"
    return browser.driver.execute_script(script, selector)


def wait_for_state(browser: Browser, words: str) -> None:
    browser.wait(lambda: getattr(timer(browser, ".state"), "text", "") == words)


def press(browser: Browser, xpath: str) -> None:
    browser.wait(lambda: browser.driver.find_elements("xpath", xpath))
    browser.driver.find_element("xpath", xpath).click()


def settled(maria: Hire) -> tuple[int, int]:
    """The seconds and labels of the trainer's day, once nothing more arrives."""
    before = -1
    while (number := WorkEntry.objects.count()) != before:
        before = number
        time.sleep(2)
    usage.collect(maria.contract)
    row = DailyUsage.objects.get(contract=maria.contract)
    return row.total_seconds or 0, row.labels_completed or 0


def test_a_trainer_labels_moves_on_pauses_and_leaves(
    live_server: Any, browser: Browser, maria: Hire, project: Any
) -> None:
    opened = time.monotonic()
    browser.open(f"{live_server}/projects/{project.pk}/text-classification?page=1")
    browser.wait(lambda: "Invoice 1" in browser.text)
    wait_for_state(browser, RECORDING)
    began = time.monotonic()
    press(browser, "//span[contains(@class, 'v-chip')][contains(., 'paid')]")
    browser.wait(model("labels.Category").objects.exists)
    time.sleep(3)
    press(browser, f"//button[not(@disabled)][.//*[name()='path'][starts-with(@d, '{NEXT}')]]")
    browser.wait(lambda: "Invoice 2" in browser.text)
    assert browser.driver.current_url.endswith("page=2"), "no page was loaded"
    assert timer(browser, ".state").text == RECORDING
    time.sleep(3)
    timer(browser, "button").click()
    wait_for_state(browser, PAUSED)
    paused = time.monotonic()
    seconds, labels = settled(maria)
    assert (paused - began) / 2 <= seconds <= paused - opened
    assert labels == 1

    # In another page of the project it is still paused, whatever is done there.
    press(browser, "//*[contains(@class, 'v-list-item')][contains(., 'Dataset')]")
    browser.wait(lambda: "/dataset" in browser.driver.current_url)
    wait_for_state(browser, PAUSED)
    time.sleep(2)
    assert settled(maria)[0] == seconds

    began = time.monotonic()
    timer(browser, "button").click()
    wait_for_state(browser, RECORDING)
    time.sleep(4)
    press(browser, "//button[contains(translate(., 'P', 'p'), 'projects')]")
    browser.wait(lambda: timer(browser, ".timer") is None)
    more = time.monotonic() - began
    assert seconds + more / 2 <= settled(maria)[0] <= seconds + more + 1


def test_in_each_of_doccanos_languages(live_server: Any, browser: Browser, project: Any) -> None:
    browser.open(f"{live_server}/de/projects/{project.pk}/text-classification?page=1")
    browser.wait(lambda: "Invoice 1" in browser.text)
    browser.wait(lambda: timer(browser, ".timer"))
