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
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
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
FOCUS = "const style = getComputedStyle(arguments[0]); return style.outlineStyle + style.boxShadow"
#: More than any page of ours has to be passed.
MOST_TABS = 120


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

    def press_element(self, path: str) -> None:
        """Press the button, or follow the link, at this XPath."""
        self._go(self.driver.find_element(By.XPATH, path))

    def tick_name(self, name: str) -> None:
        self.driver.find_element(By.NAME, name).click()

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

    @contextmanager
    def looks(self, width: int, theme: str, height: int = 900) -> Iterator[None]:
        """On a screen of this width, in the light or the dark theme."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.emulate(width, height)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        # Half-way from one theme to the other no colours are right.
        self.wait(lambda: not self.driver.execute_script("return document.getAnimations().length"))
        yield
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def tab_to(self, condition: str) -> WebElement:
        """Move the focus with the keyboard, as those do who have no mouse, to an element for which the XPath holds.

        It has to show that it has the focus.
        """
        target = self.driver.find_element(By.XPATH, condition)
        for _ in range(MOST_TABS):
            if self.driver.switch_to.active_element == target:
                assert self.driver.execute_script(FOCUS, target) != "nonenone", f"{condition} shows no focus"
                return target
            ActionChains(self.driver).send_keys(Keys.TAB).perform()
        raise AssertionError(f"The keyboard doesn't get to {condition}.")

    def type_into(self, label: str, value: str) -> None:
        """Fill the field with this label, by the keyboard alone."""
        field = self.tab_to(f"//*[@id = //label[starts-with(normalize-space(.), '{label}')]/@for]")
        if field.tag_name == "select":
            ActionChains(self.driver).send_keys(value).perform()
        else:
            ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys(
                value
            ).perform()

    def enter(self, words: str) -> None:
        """Press the button with these words, by the keyboard alone."""
        self.tab_to(
            f"//button[starts-with(normalize-space(.), '{words}')] | //input[@type='submit' and @value='{words}']"
        )
        page = self.driver.find_element(By.TAG_NAME, "html").id
        ActionChains(self.driver).send_keys(Keys.ENTER).perform()
        self.wait(lambda: self.driver.find_element(By.TAG_NAME, "html").id != page)

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
