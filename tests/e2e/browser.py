"""A headless Chromium that talks to this machine only."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("selenium", reason="selenium drives the browser")

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # Not even a name server is asked for anything else.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
WAIT_SECONDS = 20


class Browser:
    """A user's browser, in the words of the page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def press(self, words: str) -> None:
        """Press the button, or follow the link, with these words, once it is there: a page may forward."""
        condition = f"starts-with(normalize-space(.), '{words}')"
        target = By.XPATH, f"//button[{condition}] | //a[{condition}]"
        self.wait(lambda: self.driver.find_elements(*target))
        self._go(self.driver.find_element(*target))

    def press_id(self, element_id: str) -> None:
        self._go(self.driver.find_element(By.ID, element_id))

    def _go(self, element: WebElement) -> None:
        """Press, and wait until the page that it was on is gone."""
        page = self.driver.find_element(By.TAG_NAME, "html").id
        element.click()
        self.wait(lambda: self.driver.find_element(By.TAG_NAME, "html").id != page)

    def fill(self, label: str, value: str) -> None:
        """Fill the field with this label."""
        target = self.driver.find_element(By.XPATH, f"//label[normalize-space(.)='{label}']").get_attribute(
            "for"
        )
        self.driver.find_element(By.ID, target or "").send_keys(value)

    def tick(self, label: str) -> None:
        """Tick the box with this label, by the label."""
        self.driver.find_element(By.XPATH, f"//label[normalize-space(.)='{label}']").click()

    def read(self, element_id: str) -> str:
        """The text of an element."""
        return self.driver.find_element(By.ID, element_id).text

    def wait(self, condition: Any) -> None:
        """Until ``condition()`` is true; fails after a while, with what the page then says."""
        # A page that is being replaced has lost the elements that the condition looks at.
        waiting = WebDriverWait(self.driver, WAIT_SECONDS, 0.05, [StaleElementReferenceException])
        try:
            waiting.until(lambda _driver: condition())
        except TimeoutException:
            raise AssertionError(self.text) from None

    def complaints(self) -> list[str]:
        """What the browser's console says: errors of scripts, refusals of the content security policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call] # selenium's own gap

    def resize(self, width: int, height: int = 900) -> None:
        self.driver.set_window_size(width, height)

    def emulate(self, width: int, height: int = 900) -> None:
        """A small screen: a window has a smallest width of its own."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(script))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options.add_argument(f"--user-data-dir={profile}")
        # Named, so that selenium downloads nothing.
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
