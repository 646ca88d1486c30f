"""In every language, with long names and at 320 pixels, no page is wider than the screen; and axe finds nothing in
the German and the Arabic ones, at two widths and in both themes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import URLPattern, reverse
from django.utils import timezone

from django_opentrain import urls
from django_opentrain.models import Contract, Install, Participant, ProjectLink
from tests import factories
from tests.e2e.axe import problems_of_looks
from tests.e2e.browser import Browser, chromium
from tests.web.conftest import ADAPTER
from tests.web.scenes import Scene, full_scene
from tests.web.test_decorators import readable_pages

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDTH, HEIGHT = 320, 800
LANGUAGES = ("en", "ar", "de", "es", "fr", "ja", "pt-br", "zh-hans")
STATUS = "return performance.getEntriesByType('navigation')[0].responseStatus"
#: A drawing begins at the left in every language.
AXES_TURNED = """
const left = each => each.getBoundingClientRect().left;
return [...document.querySelectorAll(".axis")].some(({children: [first, last]}) => left(first) > left(last));
"""
#: The longest words, and those that are written from right to left.
LOOKED_AT_BY_AXE = ("de", "ar")
LONG = "Straßenverkehrszeichenerkennungsdatensatzerweiterung"


@pytest.fixture
def site(live_server: object) -> Iterator[str]:
    origin = str(live_server)
    changes = {"ADAPTER": ADAPTER, "PUBLIC_URL": origin}
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, **changes}):
        yield origin


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        browser.emulate(WIDTH, HEIGHT)
        yield browser


def log_in(browser: Browser, site: str, user: User) -> None:
    client = Client()
    client.force_login(user)
    browser.open(f"{site}/opentrain/set-password/done/")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    browser.driver.add_cookie({"name": settings.SESSION_COOKIE_NAME, "value": cookie})


def with_long_names() -> Scene:
    scene = full_scene()
    Participant.objects.update(display_name=f"{LONG} {LONG}")
    Contract.objects.update(title=LONG)
    ProjectLink.objects.update(external_project_name=LONG, last_error=f"{LONG} {LONG}")
    factories.make_objection(scene.contract, timezone.now().date(), opentrain_user_id="usr_x", text=LONG * 3)
    return scene


def customers_pages(scene: Scene) -> list[str]:
    home = reverse("opentrain:home")
    contracts = reverse("opentrain:contracts")
    waiting = f"{home}?done=connected&next=/projects/&setup=1&install={factories.make_install('acme').pk}"
    return [*readable_pages(scene), f"{contracts}?status=ended", f"{contracts}?status=attention", waiting]


def trainers_pages(scene: Scene) -> list[str]:
    day = timezone.now().date().isoformat()
    found = []
    for pattern in urls.urlpatterns:
        route = str(pattern.pattern)
        if isinstance(pattern, URLPattern) and route.startswith("work/") and "csv" not in route:
            keys = {"pk": scene.contract.pk} if "<int:pk>" in route else {}
            found.append(
                reverse(
                    f"opentrain:{pattern.name}", kwargs={**keys, "day": day} if "<str:day>" in route else keys
                )
            )
    return found


def problems(browser: Browser, site: str, pages: list[str], language: str) -> list[str]:
    """What is wrong with these pages in this language."""
    found = []
    for page in pages:
        if ".csv" in page:
            continue
        browser.open(f"{site}{page}")
        if browser.driver.execute_script(STATUS) == 405:
            continue  # it only takes what a form sends
        # What is closed is seen, too, once it is opened.
        script = "document.querySelectorAll('details').forEach(each => each.open = true)"
        browser.driver.execute_script(script)
        if browser.overflow() > 0:
            found.append(f"{page} is {browser.overflow()} px wider than the screen")
        head = browser.driver.execute_script(
            "const {lang, dir} = document.documentElement; return [lang, dir]"
        )
        if head != [language, "rtl" if language == "ar" else ""]:
            found.append(f"{page} says that its language is {head}")
        if browser.driver.execute_script(AXES_TURNED):
            found.append(f"{page} has a chart that is drawn the other way round than its axis says")
        if language in LOOKED_AT_BY_AXE:
            found += [f"{page}: {each}" for each in problems_of_looks(browser)]
            browser.emulate(WIDTH, HEIGHT)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_sound_on_a_small_screen(browser: Browser, site: str, language: str) -> None:
    scene = with_long_names()
    boss, maria = factories.make_user("acme-boss"), factories.make_user("maria")
    trainer = scene.grant.participant.opentrain_user_id
    factories.make_trainer_account(maria, opentrain_user_id=trainer)
    customers, trainers = customers_pages(scene), trainers_pages(scene)
    with override_settings(LANGUAGE_CODE=language):
        log_in(browser, site, boss)
        assert problems(browser, site, customers, language) == []
        Install.objects.filter(pk=scene.install.pk).update(status="UNAUTHORIZED", refused_at=timezone.now())
        assert problems(browser, site, ["/opentrain/"], language) == []
        log_in(browser, site, maria)
        assert problems(browser, site, trainers, language) == []
