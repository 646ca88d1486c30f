"""Under a policy of the site's own that trusts nothing but nonces: what our tags and pages load has the page's."""

from __future__ import annotations

import re
from typing import Any

import django
import pytest
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils.functional import SimpleLazyObject

from tests.web.conftest import Visitor
from tests.web.markup import page_of
from tests.web.scenes import full_scene

pytestmark = pytest.mark.django_db
of_django = pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has no such middleware")
TIMER = "django_opentrain.middleware.timer"
NONCE = re.compile(r"'nonce-([^']+)'")


@pytest.fixture
def policy(settings: Any) -> None:
    """Django's middleware, with a policy for scripts and styles."""
    from django.utils.csp import CSP

    settings.MIDDLEWARE = ["django.middleware.csp.ContentSecurityPolicyMiddleware", *settings.MIDDLEWARE]
    settings.SECURE_CSP = {
        "default-src": [CSP.NONE],
        "script-src": [CSP.NONCE, CSP.STRICT_DYNAMIC],
        "style-src": [CSP.NONCE],
    }


def trusted(response: Any) -> str:
    """The nonce that the page's policy names."""
    named = NONCE.findall(response["Content-Security-Policy"])
    assert len(set(named)) == 1, response["Content-Security-Policy"]
    return str(named[0])


def loaded(response: Any) -> list[dict[str, str]]:
    """The attributes of each script and stylesheet of the page."""
    page = page_of(response)
    sheets = [link for link in page.all("link") if link.attributes.get("rel") == "stylesheet"]
    return [each.attributes for each in [*page.all("script"), *sheets]]


@of_django
@pytest.mark.usefixtures("policy")
def test_pages_that_leave_the_policy_to_the_site_bear_its_nonce(boss: Client, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "CONTENT_SECURITY_POLICY": "site"}
    contract = full_scene().contract
    for url in ("/opentrain/", f"/opentrain/contracts/{contract.pk}/"):
        response = boss.get(url)
        nonces = {each.get("nonce") for each in loaded(response)}
        assert nonces == {trusted(response)}


@of_django
@pytest.mark.usefixtures("policy")
def test_other_pages_keep_the_policy_of_ours(visitor: Visitor) -> None:
    response = visitor("acme-boss").get("/opentrain/")
    assert response["Content-Security-Policy"].startswith(
        "default-src 'none'; style-src 'self'; script-src 'self';"
    )


@of_django
@pytest.mark.usefixtures("policy")
def test_the_timer_bears_the_nonce_of_the_page_to_which_it_is_added(maria: Client, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, TIMER]
    response = maria.get("/projects/7/")
    assert [each["nonce"] for each in loaded(response)] == [trusted(response)]


def shown_by_tag(request: HttpRequest) -> str:
    template = Template("{% load opentrain %}{% opentrain_timer 7 %}")
    return template.render(Context({"request": request}))


@of_django
@pytest.mark.usefixtures("policy")
def test_the_timers_tag_bears_the_nonce() -> None:
    from django.middleware.csp import ContentSecurityPolicyMiddleware

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(shown_by_tag(request))

    response: Any = ContentSecurityPolicyMiddleware(view)(RequestFactory().get("/projects/7/"))
    assert [each["nonce"] for each in loaded(response)] == [trusted(response)]


def test_a_nonce_of_django_csp_is_read_when_it_is_written() -> None:
    read: list[str] = []

    def make() -> str:
        read.append("made")
        return "c3Bpcml0"

    request: Any = RequestFactory().get("/projects/7/")
    request.csp_nonce = SimpleLazyObject(make)
    assert 'nonce="c3Bpcml0"' in shown_by_tag(request)
    assert read == ["made"]
    assert "nonce" not in shown_by_tag(RequestFactory().get("/projects/7/"))
