"""The timer in a real browser: it records a trainer's time while they are at work, and no other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.utils import timezone

from django_opentrain.models import AccessGrant, WorkEntry
from tests import factories
from tests.e2e.browser import Browser, chromium
from tests.web.adapter import NamesAdapter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
IDLE = 4
NOW = timedelta(0)


class PathsAdapter(NamesAdapter):
    def project_of_path(self, path: str) -> str | None:
        parts = path.split("/")
        return parts[2] if parts[1] == "app" and parts[2].isdigit() else None


@pytest.fixture
def site(live_server: Any) -> Iterator[str]:
    opentrain = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.PathsAdapter", "IDLE_SECONDS": IDLE}
    with override_settings(OPENTRAIN=opentrain, ROOT_URLCONF="tests.e2e.timer_urls"):
        yield str(live_server)


@pytest.fixture
def maria(site: str) -> User:
    """A trainer with access to the projects 7 and 8, for an hour."""
    user = factories.make_user("maria")
    install = factories.make_install()
    participant = factories.make_participant(install)
    for project in ("7", "8"):
        link = factories.make_link(install, external_project_id=project)
        factories.make_grant(
            factories.make_contract(install, [link]),
            link,
            participant,
            state=AccessGrant.State.GRANTED,
            host_user_ref=str(user.pk),
            opened_project_id=project,
            granted_at=timezone.now() - timedelta(hours=1),
        )
    return user


@pytest.fixture
def browser(site: str, maria: User) -> Iterator[Browser]:
    with chromium() as browser:
        sign_in(browser, site, maria)
        yield browser


def sign_in(browser: Browser, site: str, user: User) -> None:
    client = Client()
    client.force_login(user)
    browser.open(f"{site}/opentrain/set-password/done/")
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    browser.driver.add_cookie({"name": settings.SESSION_COOKIE_NAME, "value": value, "httpOnly": True})


def part(browser: Browser, selector: str) -> Any:
    script = "return document.querySelector('opentrain-timer')?.shadowRoot.querySelector(arguments[0])"
    return browser.driver.execute_script(script, selector)


def state(browser: Browser) -> str:
    found = part(browser, ".state")
    return found.text if found else ""


def work_for(browser: Browser, seconds: float) -> float:
    """Type something now and then; returns how long it took, which on a busy machine is more."""
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        browser.driver.find_element("id", "answer").send_keys("y")
        time.sleep(min(1.0, max(0.0, left)))
    return time.monotonic() - began


def is_about(seconds: float, took: float) -> bool:
    """Whether so much was measured of work that took so long; a busy machine sees begin and end later."""
    return took / 2 <= seconds <= took + 3


def pause(browser: Browser) -> None:
    part(browser, "button").click()
    browser.wait(lambda: state(browser) == "Paused")


def counted(project: str | None = None) -> float:
    """The seconds that count, by the ledger's rule."""
    rows = WorkEntry.objects.order_by("at")
    begin = timezone.now() - timedelta(hours=2)
    return sum(
        (row.counted or NOW).total_seconds()
        for row in rows.counted(begin, timezone.now() + timedelta(minutes=1))
        if project in (None, row.external_project_id)
    )


def settled() -> float:
    """Once nothing more arrives."""
    before = -1
    while (number := WorkEntry.objects.count()) != before:
        before = number
        time.sleep(1.5)
    return counted()


def test_it_records_while_the_trainer_works_and_is_seen(browser: Browser, site: str) -> None:
    browser.open(f"{site}/work/7/")
    browser.wait(lambda: state(browser) == "Recording your time")
    began = time.monotonic()
    work_for(browser, 5)
    pause(browser)
    took = time.monotonic() - began
    assert is_about(settled(), took)
    entry = WorkEntry.objects.first()
    assert entry is not None
    assert (entry.external_project_id, entry.kind, entry.object_id) == ("7", WorkEntry.Kind.ACTIVITY, "")
    work_for(browser, 3)
    assert counted() <= took + 3, "it was paused"
    part(browser, "button").click()
    browser.wait(lambda: state(browser) == "Recording your time")
    assert browser.complaints() == [], "the page's policy forbids everything else"


def test_a_reader_of_the_screen_and_a_keyboard_can_use_it(browser: Browser, site: str) -> None:
    browser.open(f"{site}/work/7/")
    browser.wait(lambda: state(browser) == "Recording your time")
    assert part(browser, ".timer").get_attribute("aria-label") == "Working time"
    assert part(browser, ".state").aria_role == "status"
    button = part(browser, "button")
    assert button.accessible_name == "Pause"
    browser.driver.execute_script("arguments[0].focus()", button)
    button.send_keys("\n")
    browser.wait(lambda: part(browser, "button").accessible_name == "Resume")
    assert state(browser) == "Paused"


def test_who_does_nothing_is_away(browser: Browser, site: str) -> None:
    browser.open(f"{site}/work/7/")
    took = work_for(browser, 2)
    browser.wait(lambda: state(browser) == "Not recording: no activity")
    before = settled()
    assert is_about(before, took + IDLE)
    time.sleep(3)
    assert settled() == before
    work_for(browser, 2)
    browser.wait(lambda: state(browser) == "Recording your time")


def test_another_tab_in_front_counts_nothing_here(browser: Browser, site: str) -> None:
    browser.open(f"{site}/work/7/")
    took = work_for(browser, 3)
    first = browser.driver.current_window_handle
    began = time.monotonic()
    browser.driver.switch_to.new_window("tab")
    before = settled()
    assert before <= took + 3
    assert time.monotonic() - began > 2
    time.sleep(2)
    assert settled() == before
    browser.driver.close()
    browser.driver.switch_to.window(first)
    browser.wait(lambda: state(browser) == "Recording your time")


def test_two_windows_at_once_are_not_summed(browser: Browser, site: str, maria: User) -> None:
    browser.open(f"{site}/work/7/")
    with chromium() as other:
        sign_in(other, site, maria)
        other.open(f"{site}/work/8/")
        began = time.monotonic()
        for _second in range(5):
            work_for(browser, 0.5)
            work_for(other, 0.5)
        pause(other)
        pause(browser)
        took = time.monotonic() - began
        together = settled()
    claimed = sum(entry.duration.total_seconds() for entry in WorkEntry.objects.all())
    assert claimed > took, "both have measured"
    assert is_about(together, took)


def processes_of(pid: int) -> list[int]:
    """This process, and those that it has started."""
    found = [pid]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue  # it has just ended
        if parent == pid:
            found += processes_of(int(folder.name))
    return found


def test_a_closed_laptop_counts_nothing(browser: Browser, site: str) -> None:
    browser.open(f"{site}/work/7/")
    took = work_for(browser, 3)
    driver = browser.driver.service.process
    assert driver is not None
    stopped = [pid for pid in processes_of(driver.pid) if pid != driver.pid]
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(14)
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
    took += work_for(browser, 3)
    pause(browser)
    assert is_about(settled(), took)
    # A busy machine stops the page for longer than a tick, too.
    assert WorkEntry.objects.count() >= 2


def offline(browser: Browser, is_offline: bool) -> None:
    browser.driver.execute_cdp_cmd("Network.enable", {})
    conditions = {"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)


def test_what_was_measured_offline_is_sent_later(browser: Browser, site: str) -> None:
    browser.open(f"{site}/work/7/")
    browser.wait(lambda: state(browser) == "Recording your time")
    offline(browser, True)
    began = timezone.now()
    took = work_for(browser, 4)
    pause(browser)
    ended = timezone.now()
    time.sleep(3)
    assert not WorkEntry.objects.exists()
    offline(browser, False)
    browser.wait(WorkEntry.objects.exists)
    assert is_about(settled(), took)
    at: datetime = WorkEntry.objects.latest("at").at
    assert began < at < ended + timedelta(seconds=2)
    browser.open(f"{site}/work/7/")
    browser.wait(lambda: state(browser) == "Paused")
    assert (
        browser.driver.execute_script("return Object.keys(localStorage).filter(k => k.includes('item'))")
        == []
    )


def test_what_was_measured_until_the_page_is_left_arrives(browser: Browser, site: str) -> None:
    browser.open(f"{site}/work/7/")
    took = work_for(browser, 3)
    browser.open("about:blank")
    assert is_about(settled(), took)


def test_an_app_that_loads_no_pages_is_followed(browser: Browser, site: str) -> None:
    """The middleware adds the script; the adapter says which project a path belongs to."""
    browser.open(f"{site}/app/home")
    time.sleep(2)
    assert part(browser, ".timer") is None
    browser.driver.execute_script("history.pushState(null, '', '/app/7/label')")
    in_7 = work_for(browser, 4)
    browser.wait(lambda: state(browser) == "Recording your time")
    browser.driver.execute_script("history.pushState(null, '', '/app/8/label')")
    in_8 = work_for(browser, 4)
    browser.driver.execute_script("history.pushState(null, '', '/app/home')")
    browser.wait(lambda: part(browser, ".timer") is None)
    settled()
    assert is_about(counted("7"), in_7)
    assert is_about(counted("8"), in_8)


def test_others_see_nothing(site: str, browser: Browser) -> None:
    with chromium() as other:
        sign_in(other, site, factories.make_user("reviewer"))
        other.open(f"{site}/work/7/")
        work_for(other, 2)
        assert part(other, ".timer") is None
        assert other.complaints() == []
    assert not WorkEntry.objects.exists()
