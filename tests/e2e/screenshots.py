"""``tox -e screenshots``: the pictures in README and docs, of what the demo leaves to look at.

Each page in light and dark, 1280 pixels wide, as ``docs/images/NAME-light.png`` and ``NAME-dark.png``.
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from selenium.webdriver.common.by import By

from example_project.demo.opentrain import OpenTrain
from example_project.demo.processes import Processes
from example_project.demo.scenery import PASSWORD, Scenery
from example_project.demo.stage import Stage, environment, set_up
from example_project.demo.story import Story
from tests.e2e.axe import THEMES
from tests.e2e.browser import Browser, chromium

IMAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDTH: Final = 1280
MAX_HEIGHT: Final = 1400
#: Where an element begins, with a margin, and where the page ends.
CORNERS: Final = """
const box = document.querySelector(arguments[0]).getBoundingClientRect();
return [Math.max(box.left - 16, 0), Math.max(box.top + scrollY - 16, 0), document.documentElement.scrollHeight];
"""


class Scene(NamedTuple):
    """What the demo has left: addresses, and Lea, whose budget is low."""

    site: str
    sandbox: str
    lea: str
    contract: int


@contextmanager
def scenery() -> Iterator[Scene]:
    """The demo as ``--serve`` leaves it."""
    with tempfile.TemporaryDirectory(prefix="opentrain-screenshots-") as name, ExitStack() as stack:
        folder = Path(name)
        logs = folder / "logs"
        logs.mkdir()
        processes = Processes(environment(folder, stack), logs)
        stack.callback(processes.close)
        stage: Stage = set_up(processes, folder)
        opentrain = stack.enter_context(closing(OpenTrain(stage.sandbox)))
        story = Story(stage.site, opentrain, stage.mail, stack)
        story.play()
        lea, *_others = Scenery(story).play()
        contract = story.customer.contract(lea.hired.contract_id)
        yield Scene(stage.site, stage.sandbox, lea.hired.work_email, contract)


def log_in(browser: Browser, url: str, username: str, password: str) -> None:
    """As another user than before, on the login page at ``url``."""
    browser.open(url)
    browser.driver.delete_all_cookies()
    browser.open(url)
    browser.driver.find_element(By.NAME, "username").send_keys(username)
    browser.driver.find_element(By.NAME, "password").send_keys(password)
    page = browser.driver.find_element(By.TAG_NAME, "html").id
    browser.driver.find_element(By.CSS_SELECTOR, "[type=submit], main button").click()
    browser.wait(lambda: browser.driver.find_element(By.TAG_NAME, "html").id != page)


def take(browser: Browser, name: str, url: str, max_height: int = MAX_HEIGHT, begin: str = "html") -> None:
    """A picture of the page in each theme; what is further down is cut off.

    :param begin: a CSS selector: what is left of that element, or above it, is cut off, too.
    """
    browser.open(url)
    for theme in THEMES:
        with browser.looks(WIDTH, theme):
            left, top, bottom = map(int, browser.driver.execute_script(CORNERS, begin))
            clip = {
                "x": left,
                "y": top,
                "width": WIDTH - left,
                "height": min(bottom - top, max_height),
                "scale": 1,
            }
            shot = browser.driver.execute_cdp_cmd(
                "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
            )
        path = IMAGES / f"{name}-{theme}.png"
        path.write_bytes(base64.b64decode(shot["data"]))
        print(f"  {path.relative_to(IMAGES.parents[1])}: {path.stat().st_size // 1000} kB", flush=True)


def take_all(browser: Browser, scene: Scene) -> None:
    pages, admin = f"{scene.site}/opentrain", f"{scene.site}/admin"
    log_in(browser, f"{scene.site}/login/", "customer", "customer")
    take(browser, "customer-home", f"{pages}/")
    take(browser, "customer-contract", f"{pages}/contracts/{scene.contract}/")
    log_in(browser, f"{scene.site}/login/", scene.lea, PASSWORD)
    take(browser, "trainer", f"{pages}/work/{scene.contract}/")
    log_in(browser, f"{admin}/login/", "admin", "admin")
    take(browser, "admin-overview", f"{admin}/django_opentrain/")
    contract = f"{admin}/django_opentrain/contract/{scene.contract}/change/"
    take(browser, "admin-contract", contract, begin=":has(> #opentrain-timeline)")
    event = newest(browser, f"{admin}/django_opentrain/webhookevent/?type=project_link.created")
    take(browser, "admin-event", event, max_height=1900, begin="#content h1")
    take(browser, "sandbox", f"{scene.sandbox}/", max_height=740, begin="#contracts")


def newest(browser: Browser, url: str) -> str:
    """The address of the newest row of one of the admin's lists."""
    browser.open(url)
    links = browser.driver.find_elements(By.CSS_SELECTOR, "#result_list tbody th a")
    addresses = [link.get_attribute("href") or "" for link in links]
    return max(addresses, key=lambda address: int(re.findall(r"\d+", address.partition("?")[0])[-1]))


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with scenery() as scene, chromium() as browser:
        take_all(browser, scene)


if __name__ == "__main__":
    main()
