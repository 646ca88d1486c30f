"""The sandbox's page in a real browser: it works without scripts, and fits a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.server import SandboxServer
from tests.e2e.axe import check_looks
from tests.e2e.browser import Browser, chromium

pytestmark = pytest.mark.browser

#: CSS pixels: what a finger finds (WCAG 2.5.5).
TARGET = 44
SMALL = """
return [...document.querySelectorAll("button, select, input:not([type=hidden]), summary, main a, header a")]
  .filter((each) => each.getBoundingClientRect().height < arguments[0]).map((each) => each.outerHTML)
"""


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a sandbox with a customer, contracts and a fault."""
    sandbox = Sandbox()
    server = SandboxServer()
    sandbox.base_url = server.url
    sandbox.approve()
    sandbox.fund(sandbox.hire("Zoë Wolfeschlegelsteinhausenbergerdorff").contract.id, 100, 10)
    sandbox.hire("Jonas K.", work_email="later")
    sandbox.fault("slow", seconds=2)
    server.start(sandbox.app)
    yield server.url
    server.stop()
    sandbox.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_it_fits_a_phone(browser: Browser, page: str) -> None:
    browser.emulate(360)
    browser.open(page)
    assert browser.overflow() == 0
    assert browser.driver.execute_script(SMALL, TARGET) == []
    assert "Work Email" in browser.driver.execute_script(
        "return [...document.querySelectorAll('td')].map((e) => getComputedStyle(e, '::before').content).join()"
    )
    assert browser.complaints() == []
    check_looks(browser)


def test_work_is_added(browser: Browser, page: str) -> None:
    browser.open(page)
    form = "//tr[contains(., 'Wolfe')]//form[contains(@action, '/work')]"
    browser.driver.find_element("xpath", f"{form}//input[@name='hours']").send_keys("8.5")
    browser.driver.find_element("xpath", f"{form}//button").click()
    browser.wait(lambda: "8.5 of 10 hours" in browser.text)
    assert "LOW" in browser.text
    assert browser.complaints() == []
