"""The timer's requests: bounded, strict, bound to who is signed in; and the pages to which its script is added."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from django_opentrain.middleware import timer as timer_middleware
from django_opentrain.models import AccessGrant, WorkEntry
from django_opentrain.services.work import activity
from django_opentrain.web.views.assets import asset_url
from tests import factories

pytestmark = pytest.mark.django_db
URL = "/opentrain/timer/"


def begin(client: Client, **query: str) -> Any:
    return client.get(URL, query or {"project": "7"}).json()


def opened(grant: AccessGrant, monkeypatch: pytest.MonkeyPatch, **ago: float) -> str:
    """A ticket that was made then."""
    then = timezone.now() - timedelta(**ago)
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: then)
        return activity.open_timer(grant.host_user_ref, "7") or ""


def send(client: Client, ticket: str, *intervals: Any, project: Any = "7", **headers: str) -> Any:
    data = {"project": project, "ticket": ticket, "intervals": list(intervals)}
    return client.post(URL, json.dumps(data), "application/json", headers=headers)


def interval(key: Any = "12345678", ago: Any = 0, seconds: Any = 30) -> dict[str, Any]:
    return {"key": key, "ago": ago, "seconds": seconds}


def test_a_trainer_is_told_how_to_measure(maria: Client) -> None:
    answer = begin(maria)
    assert (answer["project"], answer["idleSeconds"], answer["csrfHeader"]) == ("7", 60, "X-CSRFTOKEN")
    assert answer["style"] == asset_url("timer.css")
    assert maria.get(URL, {"project": "7"})["Cache-Control"].startswith("max-age=0, no-cache, no-store")


@pytest.mark.parametrize(
    "query", [{"project": "8"}, {"project": ""}, {"project": "7" * 201}, {"path": "/7/"}]
)
def test_without_access_to_the_project_there_is_nothing_to_measure(
    maria: Client, query: dict[str, str]
) -> None:
    assert begin(maria, **query) == {"project": None}


def test_others_are_not_measured(client: Client, grant: AccessGrant) -> None:
    assert client.get(URL, {"project": "7"}).status_code == 401
    assert send(client, "x", interval()).status_code == 401
    client.force_login(factories.make_user("reviewer"))
    assert begin(client) == {"project": None}


def test_what_was_measured_is_in_the_ledger_once(
    maria: Client, grant: AccessGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = opened(grant, monkeypatch, minutes=10)
    before = timezone.now()
    answer = send(maria, ticket, interval(ago=60, seconds=45.5), interval("abcdefgh"))
    assert (answer.status_code, answer.json()) == (200, {"new": 2})
    assert send(maria, ticket, interval(ago=61, seconds=45.5)).json() == {"new": 0}
    entry = WorkEntry.objects.order_by("pk")[0]
    assert (entry.kind, entry.duration) == (WorkEntry.Kind.ACTIVITY, timedelta(seconds=45.5))
    assert timedelta(0) <= entry.at - (before - timedelta(seconds=60)) < timedelta(seconds=5)


def test_no_interval_begins_before_the_timer_was_opened(
    maria: Client, grant: AccessGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = opened(grant, monkeypatch, seconds=20)
    assert send(maria, ticket, interval(seconds=300)).json() == {"new": 1}
    assert timedelta(seconds=20) <= WorkEntry.objects.get().duration < timedelta(seconds=25)
    assert send(maria, ticket, interval("abcdefgh", ago=30)).json() == {"new": 0}


def test_a_ticket_is_one_users_and_one_projects(
    maria: Client, grant: AccessGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = opened(grant, monkeypatch, minutes=10)
    for forged in ("x", ticket[:-4], ticket[:-4] + "AAAA"):
        assert send(maria, forged, interval()).status_code == 409
    assert send(maria, ticket, interval(), project="8").status_code == 409
    maria.force_login(factories.make_user("joao"))
    answer = send(maria, ticket, interval())
    assert (answer.status_code, answer.json()["code"]) == (409, "ticket_refused")
    assert not WorkEntry.objects.exists()


def test_after_the_access_nothing_is_taken(
    maria: Client, grant: AccessGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = opened(grant, monkeypatch, minutes=10)
    AccessGrant.objects.update(state=AccessGrant.State.REVOKED)
    assert send(maria, ticket, interval()).json() == {"new": 0}
    assert begin(maria) == {"project": None}


@pytest.mark.parametrize(
    "wrong",
    [
        interval(ago=-1),
        interval(ago=86_401),
        interval(ago="1"),
        interval(ago=True),
        interval(seconds=301),
        interval(seconds=float("nan")),
        interval(seconds=float("inf")),
        interval(seconds=None),
        interval(key="short"),
        interval(key="x" * 65),
        interval(key=7),
        interval(key="12345678\n"),
        {**interval(), "more": 1},
        {"key": "12345678"},
        [],
        None,
    ],
)
def test_a_wrong_interval_is_refused(
    maria: Client, grant: AccessGrant, monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    answer = send(maria, opened(grant, monkeypatch, minutes=10), interval(), wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not WorkEntry.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"x" * 65_537, "application/json", 413),
        (b"{}", "text/plain", 415),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_wrong_body_is_refused(maria: Client, body: bytes, content_type: str, status: int) -> None:
    assert maria.post(URL, body, content_type).status_code == status


@pytest.mark.parametrize(
    "changed", [{"intervals": []}, {"intervals": [interval()] * 61}, {"ticket": "x" * 501}, {"project": 7}]
)
def test_its_parts_are_bounded(maria: Client, changed: dict[str, Any]) -> None:
    data = {"project": "7", "ticket": "x", "intervals": [interval()], **changed}
    assert maria.post(URL, json.dumps(data), "application/json").status_code == 400
    assert maria.put(URL).status_code == 405


def test_a_forged_request_is_refused_also_where_the_site_checks_none(
    grant: AccessGrant, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "csrf" not in each.lower()]
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(pk=grant.host_user_ref))
    ticket = opened(grant, monkeypatch, minutes=1)
    assert send(client, ticket, interval()).status_code == 403
    answer = begin(client)
    given = {answer["csrfHeader"]: answer["csrfToken"]}
    assert send(client, ticket, interval(), **given).json() == {"new": 1}


# The script in pages --------------------------------------------------------------------------


def page_for(user: Any, response: HttpResponseBase, **changes: Any) -> bytes:
    request = RequestFactory().get("/projects/7/")
    request.user = user
    for name, value in changes.items():
        setattr(request, name, value)
    answer: Any = timer_middleware(lambda _request: response)(request)
    return b"".join(answer) if answer.streaming else bytes(answer.content)


def test_a_tag_loads_it_without_anything_inline() -> None:
    tag = Template("{% load opentrain %}{% opentrain_timer project %}").render(Context({"project": '7"'}))
    script, url = asset_url("timer.js"), reverse("opentrain:timer")
    assert tag == f'<script src="{script}" data-url="{url}" data-project="7&quot;" defer></script>'


def test_the_middleware_adds_it_to_pages_of_trainers_alone(grant: AccessGrant) -> None:
    maria = User.objects.get(pk=grant.host_user_ref)
    page = "<html><body>Übung</body></html>"
    seen = page_for(maria, HttpResponse(page, headers={"Content-Length": "0"})).decode()
    assert seen.startswith("<html><body>Übung<script src=")
    assert seen.endswith("</script></body></html>")
    assert page_for(maria, HttpResponse("no end")).startswith(b"no end<script ")
    for user, response in (
        (factories.make_user("reviewer"), HttpResponse(page)),
        (maria, HttpResponse(page, status=404)),
        (maria, HttpResponse(page, content_type="application/json")),
        (maria, HttpResponse(page, headers={"Content-Encoding": "gzip"})),
        (maria, StreamingHttpResponse([page.encode()])),
    ):
        assert page_for(user, response) == page.encode()
    assert page_for(maria, HttpResponse(page), method="POST") == page.encode()


def test_it_is_not_added_to_our_own_pages(maria: Client, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django_opentrain.middleware.timer"]
    assert b"timer.js" not in maria.get("/opentrain/set-password/done/").content
    assert b"timer.js" in maria.get("/projects/7/").content
    maria.logout()
    assert b"timer.js" not in maria.get("/projects/7/").content


def test_under_asgi_as_well() -> None:
    request = RequestFactory().get("/projects/7/")
    request.user = AnonymousUser()

    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("page")

    middleware: Any = timer_middleware(view)
    assert asyncio.run(middleware(request)).content == b"page"
