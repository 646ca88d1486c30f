"""Consent: redirects, the page, what approving and declining do."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.consent import redirect_allowed, return_url
from django_opentrain.sandbox.models import App, Install, Organization
from tests.sandbox.conftest import Api
from tests.sandbox.html import Page

CALLBACK = "http://127.0.0.1:8000/opentrain/callback/"


def connect_url(sandbox: Sandbox, **query: str) -> str:
    return f"{sandbox.base_url}/integrations/annotation-demo/connect?{urlencode(query)}"


@pytest.mark.parametrize(
    ("registered", "uri", "allowed"),
    [
        ("https://a.test", "https://a.test/x/y", True),
        ("https://a.test", "HTTPS://A.TEST/x", True),
        ("HTTPS://A.TEST", "https://a.test/x", True),
        ("https://a.test", "https://a.test", True),
        ("https://a.test/", "https://a.test/x", True),
        ("https://a.test/base", "https://a.test/base", True),
        ("https://a.test/base", "https://a.test/base/x?q=1", True),
        ("https://a.test/base/", "https://a.test/base/x", True),
        ("https://a.test/base", "https://a.test/based", False),
        ("https://a.test/base", "https://a.test/", False),
        ("https://a.test/base", "https://a.test/base/../x", False),
        ("https://a.test/base", "https://a.test/base/%2e%2E/x", False),
        ("https://a.test", "https://a.test:443/x", True),
        ("https://a.test", "https://a.test:444/x", False),
        ("https://a.test", "http://a.test/x", False),
        ("https://a.test", "https://b.test/x", False),
        ("https://a.test", "https://a.test.evil.test/x", False),
        ("https://a.test", "https://a.test@evil.test/x", False),
        ("https://a.test", "https://a.test/x#fragment", False),
        ("https://a.test", "https://a.test\\@evil.test/", False),
        ("https://a.test", "javascript:alert(1)", False),
        ("https://a.test", "//a.test/x", False),
        ("https://a.test", "", False),
        ("http://localhost:*", "http://localhost:5173/x", True),
        ("http://localhost:*", "http://localhost/x", True),
        ("http://localhost:*", "http://localhost.evil.test/x", False),
        ("http://localhost:*/base", "http://localhost:1/other", False),
    ],
)
def test_redirects_by_origin_and_path(registered: str, uri: str, allowed: bool) -> None:
    app = App(slug="a", name="A", client_id="ptnapp_a", redirect_uris=[registered])
    assert redirect_allowed(app, uri) is allowed


def test_the_return_carries_id_state_and_project_and_keeps_the_rest() -> None:
    returned = {"opentrain_install_id": "ins_1", "state": "s&t", "external_project_id": "7", "error": None}
    url = return_url("https://a.test/cb?x=1&state=old", returned)
    assert url is not None
    assert parse_qs(urlsplit(url).query) == {
        "x": ["1"],
        "opentrain_install_id": ["ins_1"],
        "state": ["s&t"],
        "external_project_id": ["7"],
    }
    assert return_url(None, returned) is None


def test_approving(sandbox: Sandbox, session: requests.Session) -> None:
    url = connect_url(sandbox, redirect_uri=CALLBACK, state="s1", external_project_id="7")
    asked = session.get(url)
    assert asked.status_code == 200
    page = Page(asked.text)
    assert "Annotation Demo" in page.text
    assert "See their Work Emails" in page.text
    assert {each.get("name") for each in page.elements("input")} == {"pii_consent"}
    assert "checked" not in page.elements("input")[0]
    (organization,) = [each["value"] for each in page.elements("option")]
    decisions = [each["value"] for each in page.elements("button")]
    assert decisions == ["approve", "decline"]
    form = {"organization": str(organization), "pii_consent": "on", "decision": "approve"}
    approved = session.post(url, data=form)
    assert approved.headers["Cache-Control"] == "no-store"
    page = Page(approved.text)
    token = page.text_of("opentrain-token")
    back = str(page.by_id("opentrain-return")["href"])
    assert token not in back
    assert back.startswith(CALLBACK + "?")
    returned = parse_qs(urlsplit(back).query)
    (install,) = sandbox.store.all(Install)
    assert returned == {
        "opentrain_install_id": [install.id],
        "state": ["s1"],
        "external_project_id": ["7"],
    }
    api = Api(sandbox, session, token)
    assert api.get("/installs/current").body["install"]["piiConsent"] is True
    for shown in (session.get(url), session.get(sandbox.base_url + "/")):
        assert token not in shown.text
    assert token not in session.get(sandbox.base_url + "/control/api/state").text


def test_without_the_pii_box(sandbox: Sandbox, session: requests.Session) -> None:
    (organization,) = sandbox.store.all(Organization)
    form = {"organization": organization.id, "decision": "approve"}
    page = Page(session.post(connect_url(sandbox), data=form).text)
    assert page.by_id("opentrain-return") == {}
    assert sandbox.store.all(Install)[0].pii_consent is False


def test_no_pii_box_unless_emails_are_asked_for(sandbox: Sandbox, session: requests.Session) -> None:
    sandbox.set_app(scopes=["contracts:read"])
    assert "pii_consent" not in session.get(connect_url(sandbox)).text
    (organization,) = sandbox.store.all(Organization)
    form = {"organization": organization.id, "decision": "approve", "pii_consent": "on"}
    session.post(connect_url(sandbox), data=form)
    assert sandbox.store.all(Install)[0].pii_consent is False


def test_declining(sandbox: Sandbox, session: requests.Session) -> None:
    url = connect_url(sandbox, redirect_uri=CALLBACK, state="s1", external_project_id="7")
    declined = session.post(url, data={"decision": "decline"}, allow_redirects=False)
    assert declined.status_code == 303
    assert declined.headers["Location"] == f"{CALLBACK}?state=s1&external_project_id=7"
    policy = session.get(url).headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' http://127.0.0.1:8000")
    nowhere = session.post(connect_url(sandbox), data={"decision": "decline"})
    assert nowhere.status_code == 200
    assert "Declined" in nowhere.text
    assert sandbox.store.all(Install) == []


def test_a_foreign_redirect_is_refused_without_a_link_to_it(
    sandbox: Sandbox, session: requests.Session
) -> None:
    url = connect_url(sandbox, redirect_uri="https://evil.test/x")
    for response in (session.get(url), session.post(url, data={"decision": "approve"})):
        assert response.status_code == 400
        assert "evil.test" not in response.text
    assert sandbox.store.all(Install) == []


@pytest.mark.parametrize(
    "form", [{}, {"decision": "approve"}, {"decision": "approve", "organization": "x"}, {"decision": "maybe"}]
)
def test_half_an_answer(sandbox: Sandbox, session: requests.Session, form: dict[str, str]) -> None:
    assert session.post(connect_url(sandbox), data=form).status_code == 400
    assert sandbox.store.all(Install) == []


def test_unknown_and_inactive_apps(sandbox: Sandbox, session: requests.Session) -> None:
    unknown = session.get(f"{sandbox.base_url}/integrations/unknown-app/connect")
    assert (unknown.status_code, "--app-slug unknown-app" in unknown.text) == (404, True)
    sandbox.set_app(active=False)
    assert session.get(connect_url(sandbox)).status_code == 403


def test_what_the_query_says_is_escaped(sandbox: Sandbox, session: requests.Session) -> None:
    text = session.get(connect_url(sandbox, external_project_id="<script>alert(1)</script>")).text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
