"""axe-core in the page that a browser shows: the copy that axe-playwright-python brings along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from tests.e2e.browser import Browser

WIDTHS = (360, 1280)
THEMES = ("light", "dark")
RUN = """
const done = arguments[arguments.length - 1];
const result = axe.run({exclude: arguments[0]}, {resultTypes: ["violations"]});
result.then(({violations}) => done(violations), error => done(String(error)));
"""


@cache
def _source() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(browser: Browser, except_in: Sequence[str] = ()) -> list[str]:
    """What is wrong with the page as it is shown now: each rule, with the elements that break it.

    :param except_in: selectors of what isn't ours on the page.
    """
    if not browser.driver.execute_script("return 'axe' in window"):
        browser.driver.execute_script(_source())
    found: Any = browser.driver.execute_async_script(RUN, list(except_in))
    assert isinstance(found, list), found
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:200] for node in rule['nodes'][:5]]}"
        for rule in found
    ]


def check_looks(browser: Browser, except_in: Sequence[str] = ()) -> None:
    """The page at two widths, in both themes: axe finds nothing, and it is no wider than its window."""
    if problems := list(problems_of_looks(browser, except_in)):
        raise AssertionError("\n".join([browser.driver.current_url, *problems]))


def problems_of_looks(browser: Browser, except_in: Sequence[str] = ()) -> Iterator[str]:
    """What ``check_looks`` finds."""
    for width in WIDTHS:
        for theme in THEMES:
            with browser.looks(width, theme):
                found = violations(browser, except_in)
                if browser.overflow() > 0:
                    found.append(f"wider than its window by {browser.overflow()} px")
                yield from (f"{width} px, {theme}: {each}" for each in found)
