"""Who may see which page. The URLs come from the URLconf, so that a new one can't be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, resolve, reverse
from django.utils import timezone

from django_opentrain import urls
from tests.web.conftest import Visitor
from tests.web.markup import page_of, text_of
from tests.web.scenes import Scene, full_scene

#: For OpenTrain, monitors, browsers and trainers: without a customer's login. The timer's script has its own tests.
PUBLIC = {"webhook", "health", "metrics", "asset", "set-password", "set-password-done", "timer"}

#: Whose key a URL has, by the first part of its route.
OWNERS = {
    "installs": "install",
    "links": "link",
    "endpoints": "endpoint",
    "grants": "grant",
    "contracts": "contract",
    "objections": "objection",
}


def guarded() -> Iterator[tuple[str, str]]:
    """Name and route of each page that belongs to a customer."""
    for pattern in urls.urlpatterns:
        if isinstance(pattern, URLResolver):
            assert str(pattern.pattern) == "api/", "tested with the API"
            continue
        assert isinstance(pattern, URLPattern)
        # Trainers' pages have tests of their own.
        if pattern.name and pattern.name not in PUBLIC and not str(pattern.pattern).startswith("work/"):
            yield pattern.name, str(pattern.pattern)


PAGES = sorted(guarded())
WITH_KEY = [(name, route) for name, route in PAGES if "<" in route]
METHODS = ["GET", "POST"]


def url_of(name: str, route: str, scene: Scene) -> str:
    if "<" not in route:
        return reverse(f"opentrain:{name}")
    return url_with_key(name, route, getattr(scene, OWNERS[route.partition("/")[0]]).pk)


def url_with_key(name: str, route: str, key: int) -> str:
    day = {"day": timezone.now().date().isoformat()} if "<str:day>" in route else {}
    return reverse(f"opentrain:{name}", kwargs={"pk": key, **day})


def ask(client: Client, method: str, url: str, **extra: Any) -> Any:
    """Ask, with a CSRF token where one is needed."""
    client.cookies["csrftoken"] = token = "c" * 32
    return client.generic(method, url, HTTP_X_CSRFTOKEN=token, **extra)


def test_there_are_pages_to_guard() -> None:
    assert {"home", "connect", "callback", "token", "disconnect", "unlink", "contract"} <= {
        n for n, _ in PAGES
    }


@pytest.mark.parametrize(("name", "route"), PAGES)
def test_anonymous_visitors_are_sent_to_the_login_page(name: str, route: str) -> None:
    url = url_of(name, route, full_scene())
    client = Client(enforce_csrf_checks=True)
    client.cookies[settings.SESSION_COOKIE_NAME] = "expired"
    response = ask(client, "GET", url)
    if response.status_code != 405:
        assert response.status_code == 302
        assert response["Location"] == f"{settings.LOGIN_URL}?next={url}"
    response = ask(client, "POST", url)
    if response.status_code != 405:
        assert response.status_code == 403
        assert "signed out" in text_of(response)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "route"), PAGES)
@pytest.mark.parametrize(
    ("username", "words"),
    [("acme-clerk", "Only managers of your organization"), ("stranger", "doesn't belong to a customer")],
)
def test_who_manages_no_customer_is_told_so(
    visitor: Visitor, name: str, route: str, username: str, words: str, method: str
) -> None:
    response = ask(visitor(username), method, url_of(name, route, full_scene()))
    assert response.status_code in (403, 405)
    if response.status_code == 403:
        assert words in text_of(response)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "route"), WITH_KEY)
def test_another_customers_rows_are_not_found(visitor: Visitor, name: str, route: str, method: str) -> None:
    response = ask(visitor("other-boss"), method, url_of(name, route, full_scene("acme")))
    assert response.status_code in (404, 405)
    if response.status_code == 404:
        assert "Page not found" in text_of(response)


@pytest.mark.parametrize("key", [0, 10**30])
@pytest.mark.parametrize(("name", "route"), WITH_KEY)
def test_keys_that_cannot_be_are_not_found(boss: Client, name: str, route: str, key: int) -> None:
    url = url_with_key(name, route, key)
    answers = {ask(boss, method, url).status_code for method in METHODS}
    assert 404 in answers
    assert answers <= {404, 405}


@pytest.mark.parametrize(("name", "route"), PAGES)
def test_a_post_needs_a_csrf_token(boss: Client, name: str, route: str) -> None:
    response = boss.post(url_of(name, route, full_scene()))
    assert response.status_code in (403, 405)
    if response.status_code == 405:
        assert "POST" not in response["Allow"]


def unchecked(get_response: Any) -> Any:
    """Label Studio's middleware: CSRF checks are off, except for views that insist."""

    class Middleware:
        def __call__(self, request: HttpRequest) -> Any:
            return get_response(request)

        def process_view(self, request: HttpRequest, view: Any, _args: object, _kwargs: object) -> None:
            enforced = getattr(view, "_dont_enforce_csrf_checks", True)
            request._dont_enforce_csrf_checks = enforced  # type: ignore[attr-defined] # what Django looks at

    return Middleware()


@pytest.mark.parametrize("name", [*[name for name, _route in PAGES], "set-password"])
def test_csrf_checks_stay_on_where_the_host_switches_them_off(boss: Client, name: str) -> None:
    middleware = [
        m.replace("django.middleware.csrf.CsrfViewMiddleware", "tests.web.test_decorators.unchecked")
        for m in settings.MIDDLEWARE
    ]
    if name == "set-password":
        url = reverse("opentrain:set-password", kwargs={"uidb64": "x", "token": "y"})
    else:
        url = url_of(name, dict(PAGES)[name], full_scene())
    with override_settings(MIDDLEWARE=middleware):
        assert boss.post(url).status_code in (403, 405)


@pytest.mark.parametrize(("name", "route"), PAGES)
def test_no_page_is_wrapped_in_a_transaction(name: str, route: str) -> None:
    """What is done at OpenTrain must be remembered here even when the request fails afterwards."""
    view = resolve(url_of(name, route, full_scene())).func
    assert "default" in view._non_atomic_requests  # type: ignore[attr-defined] # what Django looks at


# What a browser may do with the pages ------------------------------------------------------------


def readable_pages(scene: Scene) -> list[str]:
    """Every page that shows something, refusals and lists' further pages included."""
    keys = [url_of(name, route, scene) for name, route in PAGES]
    return [
        *keys,
        reverse("opentrain:token", kwargs={"pk": scene.pending.pk}),
        reverse("opentrain:home") + "?done=connected&next=/projects/",
        reverse("opentrain:callback") + "?state=unknown",
        reverse("opentrain:set-password-done"),
        reverse("opentrain:set-password", kwargs={"uidb64": "x", "token": "y"}),
    ]


def shown_pages(client: Client) -> Iterator[Any]:
    for url in readable_pages(full_scene()):
        response = ask(client, "GET", url)
        if response.status_code not in (302, 405) and not response.streaming:
            yield response


@pytest.mark.parametrize("username", ["acme-boss", "acme-clerk", "new-boss"])
def test_every_page_has_our_headers(visitor: Visitor, username: str) -> None:
    for response in shown_pages(visitor(username)):
        policy = response["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'")
        assert "form-action 'self';" in policy
        assert "unsafe" not in policy
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "same-origin"
        assert "no-store" in response["Cache-Control"]


def test_a_site_widens_the_policy_or_sends_its_own(visitor: Visitor, settings: Any) -> None:
    client = visitor("acme-boss")
    changes: Any = {"img-src": ["'self'", "https://cdn.acme.example"], "font-src": ["'self'"], "base-uri": []}
    settings.OPENTRAIN = {**settings.OPENTRAIN, "CONTENT_SECURITY_POLICY": changes}
    assert client.get("/opentrain/")["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https://cdn.acme.example; "
        "form-action 'self'; frame-ancestors 'none'; base-uri; font-src 'self'"
    )
    settings.OPENTRAIN = {**settings.OPENTRAIN, "CONTENT_SECURITY_POLICY": "site"}
    response = client.get("/opentrain/")
    assert "Content-Security-Policy" not in response
    assert response["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("username", ["acme-boss", "acme-clerk", "new-boss"])
def test_every_page_obeys_our_policy_and_is_accessible(visitor: Visitor, username: str) -> None:
    count = 0
    for response in shown_pages(visitor(username)):
        count += 1
        check_markup(page_of(response))
    assert count >= 5


def check_markup(page: Any) -> None:
    """Nothing inline; one main heading, in order; every field and image has a name; ids are unique."""
    assert page.unclosed == []
    for element in page.elements:
        inline = [name for name in element.attributes if name == "style" or name.startswith("on")]
        assert not inline, f"<{element.tag}> has {inline}"
        assert not element.attributes.get("href", "").startswith("javascript:")
    assert not page.all("style")
    assert all(script.attributes.get("src") for script in page.all("script"))
    drawn = sum(len(page.all(tag)) for tag in ("svg", "g"))
    assert [len(page.all(tag)) for tag in ("main", "h1")] == [1, 1]
    assert 1 <= len(page.all("title")) <= 1 + drawn
    check_headings([int(element.tag[1]) for element in page.all("h1", "h2", "h3", "h4")])
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    labels = {element.attributes.get("for") for element in page.all("label")}
    for element in page.all("input", "select", "textarea", "progress"):
        if element.attributes.get("type") == "hidden" or element.attributes.get("aria-hidden"):
            continue
        assert element.attributes.get("id") in labels or element.attributes.get("aria-label")
    assert all("alt" in element.attributes for element in page.all("img"))
    assert all(element.attributes.get("href") for element in page.all("a"))
    assert all(element.text.strip() for element in page.all("a", "button", "h1", "h2", "h3"))
    for element in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(name, "").split()) <= set(ids)


def check_headings(levels: list[int]) -> None:
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
