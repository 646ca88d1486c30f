"""Connecting: there, back, and the token; whatever the browser and the customer do in between."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from django_opentrain.models import ConsentRequest, Install
from django_opentrain.sandbox import Approval
from django_opentrain.services import sweep
from django_opentrain.testing.kit import OpenTrain
from django_opentrain.web.views.connect import token as token_view
from tests import factories
from tests.web.conftest import Visitor
from tests.web.markup import page_of, text_of
from tests.web.test_decorators import ask, check_markup

HOME = "/opentrain/"


def set_out(client: Client, **data: str) -> dict[str, str]:
    """Press "connect"; returns the parameters of the consent screen."""
    response = send(client, "/opentrain/connect/", **data)
    page = page_of(response)
    check_markup(page)
    (forward,) = [
        element.attributes["content"]
        for element in page.all("meta")
        if element.attributes.get("http-equiv") == "refresh"
    ]
    (link,) = [
        element.attributes["href"] for element in page.all("a") if element.attributes.get("class") == "button"
    ]
    assert forward == f"0;url={link}"
    url = urlsplit(link)
    assert f"{url.scheme}://{url.netloc}{url.path}" == (
        "https://app.opentrain.test/integrations/annotation-demo/connect"
    )
    return {name: values[0] for name, values in parse_qs(url.query).items()}


def send(client: Client, url: str, **data: str) -> Any:
    """Send a form with its CSRF token."""
    client.cookies["csrftoken"] = "c" * 32
    return client.post(url, {**data, "csrfmiddlewaretoken": "c" * 32})


def approve(opentrain: OpenTrain, parameters: dict[str, str], **values: Any) -> Approval:
    """The customer approves on OpenTrain's consent screen."""
    return opentrain.sandbox.approve(
        redirect_uri=parameters["redirect_uri"],
        state=parameters["state"],
        external_project_id=parameters.get("external_project_id"),
        **values,
    )


def path_of(url: str | None) -> str:
    """The return URL, on this site."""
    parts = urlsplit(url or "")
    assert f"{parts.scheme}://{parts.netloc}" == "https://annotate.example"
    return f"{parts.path}?{parts.query}"


def arrive(client: Client, opentrain: OpenTrain, **data: str) -> tuple[str, str]:
    """Set out, approve, come back; the URL of the token page, and the token."""
    approval = approve(opentrain, set_out(client, **data))
    response = client.get(path_of(approval.return_url))
    assert response.status_code == 302
    return response["Location"], approval.token


# The whole way ----------------------------------------------------------------------------------


def test_from_the_button_to_a_working_connection(boss: Client, opentrain: OpenTrain) -> None:
    url, token = arrive(boss, opentrain)
    assert "ot_ptk_" in text_of(boss.get(url))
    response = send(boss, url, token=f"  {token}\n")
    assert response.status_code == 302
    text = text_of(boss.get(response["Location"]))
    assert "Connected to OpenTrain." in text
    assert "being set up" in text
    sweep.run()
    assert "Next: link a project" in text_of(boss.get(response["Location"]))
    install = Install.objects.get()
    assert (install.tenant, install.status, install.token) == ("acme", "ACTIVE", token)


def test_a_project_and_a_way_back_are_remembered(boss: Client, opentrain: OpenTrain) -> None:
    url, token = arrive(boss, opentrain, project="acme-2", next="/projects/2/?tab=people")
    assert Install.objects.get().requested_project_id == "acme-2"
    way = send(boss, url, token=token)["Location"]
    sweep.run()
    response = boss.get(way)
    assert 'href="/projects/2/?tab=people"' in response.content.decode()
    assert '<option value="acme-2" selected>' in response.content.decode()


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/evil\x00", "/evil" * 500],
    ids=["another site", "no scheme", "a script", "a control character", "too long"],
)
def test_nobody_is_sent_to_another_site(boss: Client, opentrain: OpenTrain, url: str) -> None:
    page, token = arrive(boss, opentrain, next=url)
    response = send(boss, f"{page}?{urlencode({'next': url})}", token=token)
    assert "evil" not in response["Location"]
    assert "alert" not in response["Location"]
    assert escape(url) not in boss.get(HOME, {"done": "connected", "next": url}).content.decode()


def test_whoever_lost_the_token_sets_out_for_the_same_once_more(boss: Client, opentrain: OpenTrain) -> None:
    url, _token = arrive(boss, opentrain, project="acme-2", next="/projects/2/")
    fields = {e.attributes["name"]: e.attributes.get("value") for e in page_of(boss.get(url)).all("input")}
    assert (fields["project"], fields["next"]) == ("acme-2", "/projects/2/")


def test_a_project_that_is_not_theirs_is_refused(boss: Client) -> None:
    response = send(boss, "/opentrain/connect/", project="other-1")
    assert response.status_code == 400
    assert "not one of yours" in text_of(response)
    assert not ConsentRequest.objects.exists()


def test_a_customer_who_has_a_token_already(boss: Client, opentrain: OpenTrain) -> None:
    approval = opentrain.sandbox.approve()
    response = send(boss, reverse("opentrain:start"))
    assert send(boss, response["Location"], token=approval.token).status_code == 302
    assert Install.objects.get().status == Install.Status.ACTIVE


def test_what_was_not_granted_is_told_at_once(boss: Client, opentrain: OpenTrain) -> None:
    parameters = set_out(boss)
    approval = approve(opentrain, parameters, scopes=["contracts:read"], pii_consent=False)
    page = boss.get(path_of(approval.return_url))["Location"]
    text = text_of(boss.get(send(boss, page, token=approval.token)["Location"]))
    assert "Some permissions are missing" in text
    assert "project-links:write" in text
    assert "Work Emails are not shared" in text


# Coming back ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "back"), [({}, HOME), ({"next": "/projects/2/"}, "/projects/2/")])
def test_without_an_approval_nothing_is_connected(boss: Client, data: dict[str, str], back: str) -> None:
    parameters = set_out(boss, **data)
    response = boss.get("/opentrain/callback/", {"state": parameters["state"]})
    assert response.status_code == 200
    page = page_of(response)
    assert "Nothing was connected" in page.text
    check_markup(page)
    assert [a.attributes["href"] for a in page.all("a") if a.text == "Not now"] == [back]
    assert not Install.objects.exists()


@pytest.mark.parametrize(
    "query",
    [
        {"opentrain_install_id": "inst_1"},
        {"state": "forged", "opentrain_install_id": "inst_1"},
        {"state": "\x00", "opentrain_install_id": "\x00"},
    ],
)
def test_a_return_that_nobody_set_out_for_is_refused(boss: Client, query: dict[str, str]) -> None:
    response = boss.get("/opentrain/callback/", query)
    assert response.status_code == 400
    assert "can't be used" in text_of(response)
    assert not Install.objects.exists()


@pytest.mark.parametrize(
    "query", [{}, {"state": ""}, {"state": "used or too old"}, {"error": "access_denied"}]
)
def test_a_return_with_neither_state_nor_install_is_a_decline(boss: Client, query: dict[str, str]) -> None:
    response = boss.get("/opentrain/callback/", query)
    assert response.status_code == 200
    assert "Nothing was connected" in text_of(response)
    assert not Install.objects.exists()


def test_another_users_return_is_refused(boss: Client, visitor: Visitor, opentrain: OpenTrain) -> None:
    approval = approve(opentrain, set_out(boss))
    other = visitor("other-boss")
    assert other.get(path_of(approval.return_url)).status_code == 400
    assert boss.get(path_of(approval.return_url)).status_code == 302


def test_reloading_the_return_leads_to_the_same_page(boss: Client, opentrain: OpenTrain) -> None:
    approval = approve(opentrain, set_out(boss))
    back = path_of(approval.return_url)
    first, again = boss.get(back), boss.get(back)
    assert (
        first["Location"] == again["Location"] == reverse("opentrain:token", args=[Install.objects.get().pk])
    )
    send(boss, first["Location"], token=approval.token)
    assert boss.get(back)["Location"] == f"{HOME}?install={Install.objects.get().pk}"
    assert boss.get(first["Location"])["Location"] == HOME


def test_a_session_that_did_not_come_along_is_asked_for_once_more(boss: Client, opentrain: OpenTrain) -> None:
    """SameSite=Strict: the browser leaves the cookie out on the way back from another site, but not from ours."""
    back = path_of(approve(opentrain, set_out(boss)).return_url)
    stranger = Client()
    page = page_of(stranger.get(back))
    refresh = next(
        e.attributes["content"] for e in page.all("meta") if e.attributes.get("http-equiv") == "refresh"
    )
    again = re.fullmatch("0;url=(.*)", refresh)
    assert again is not None
    assert [a.attributes["href"] for a in page.all("a")][1:] == [again[1]]
    assert boss.get(again[1]).status_code == 302
    # Who really is logged out goes on to the login page, and not round in circles.
    response = stranger.get(again[1])
    assert response.status_code == 302
    assert response["Location"].startswith(str(settings.LOGIN_URL))


def test_an_expired_session_goes_to_the_login_page_at_once(db: None) -> None:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = "expired"
    response = client.get("/opentrain/callback/?state=x&opentrain_install_id=y")
    assert response["Location"].startswith(f"{settings.LOGIN_URL}?next=/opentrain/callback/%3Fstate%3Dx")


# The token --------------------------------------------------------------------------------------


@pytest.fixture
def pending() -> Install:
    return factories.make_install("acme", status="PENDING", token=None, opentrain_id=None)


def token_page(install: Install) -> str:
    return reverse("opentrain:token", args=[install.pk])


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("", "Paste the token"),
        ("   ", "Paste the token"),
        ("hello", "begins with ot_ptk_"),
        ("ot_ptk_with a blank", "begins with ot_ptk_"),
        ("ot_ptk_ünïcode", "begins with ot_ptk_"),
        ("ot_ptk_unknown", "doesn't accept this token"),
        ("ot_ptk_" + "x" * 600, "at most 512"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused_in_words(
    boss: Client, opentrain: OpenTrain, pending: Install, pasted: str, words: str
) -> None:
    response = send(boss, token_page(pending), token=pasted)
    assert response.status_code == 400
    assert words in text_of(response)
    if len(pasted.strip()) > 7:
        assert pasted not in response.content.decode()
    pending.refresh_from_db()
    assert pending.status == Install.Status.PENDING


def test_a_screen_reader_reads_the_error_with_the_field(boss: Client, pending: Install) -> None:
    page = page_of(send(boss, token_page(pending), token="hello"))
    field = next(e for e in page.all("input") if e.attributes.get("name") == "token")
    assert field.attributes["aria-invalid"] == "true"
    described = [
        e.text for e in page.elements if e.attributes.get("id") == field.attributes["aria-describedby"]
    ]
    assert "begins with ot_ptk_" in described[0]


def test_a_token_of_another_connection_is_refused(boss: Client, opentrain: OpenTrain) -> None:
    url, _token = arrive(boss, opentrain)
    organization = opentrain.sandbox.create_organization("Another")
    other = opentrain.sandbox.approve(organization_id=organization.id)
    response = send(boss, url, token=other.token)
    assert response.status_code == 400
    assert "another connection" in text_of(response)


@pytest.mark.parametrize(
    ("status", "words"), [(500, "Nothing is lost"), (429, "Try again"), (503, "Nothing is lost")]
)
def test_a_token_can_be_pasted_again_when_opentrain_was_away(
    boss: Client, opentrain: OpenTrain, status: int, words: str
) -> None:
    url, token = arrive(boss, opentrain)
    opentrain.fail_next(status)
    response = send(boss, url, token=token)
    assert response.status_code == (429 if status == 429 else 503)
    assert words in text_of(response)
    assert token not in response.content.decode()
    opentrain.travel(seconds=61)
    assert send(boss, url, token=token).status_code == 302


def test_the_token_stays_out_of_history_and_error_reports(boss: Client, pending: Install) -> None:
    response = boss.get(token_page(pending))
    field = next(e for e in page_of(response).all("input") if e.attributes.get("name") == "token")
    assert field.attributes["autocomplete"] == "off"
    assert field.attributes["type"] == "password"
    assert "value" not in field.attributes
    assert "no-store" in response["Cache-Control"]
    request = HttpRequest()
    request.method = "POST"
    token_view(request, pk=pending.pk)
    assert request.sensitive_post_parameters == ("token",)  # type: ignore[attr-defined] # what the decorator leaves


def test_a_file_is_no_token(boss: Client, pending: Install) -> None:
    response = boss.post(
        token_page(pending),
        {"token": ContentFile(b"ot_ptk_x", "token"), "csrfmiddlewaretoken": "c" * 32},
        headers={"cookie": "csrftoken=" + "c" * 32},
    )
    assert response.status_code in (400, 403)


def test_a_connection_that_works_needs_no_token(boss: Client) -> None:
    install = factories.make_install("acme")
    assert ask(boss, "GET", token_page(install))["Location"] == HOME
    assert send(boss, token_page(install), token="ot_ptk_other").status_code == 302
    install.refresh_from_db()
    assert install.token_hint != "ther"
