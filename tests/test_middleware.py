"""Who acts: the user of the request that is being answered, under WSGI and ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from django_opentrain.middleware import acting_user
from django_opentrain.services import work


def request_of(user: Any) -> HttpRequest:
    request = RequestFactory().post("/")
    request.user = user
    return request


def who(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(work.acting_user()))


async def who_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0.01)
    return await sync_to_async(who)(request)


def test_a_visitor_is_no_user() -> None:
    assert acting_user(who)(request_of(AnonymousUser())).content == b"None"
    assert acting_user(who)(RequestFactory().post("/")).content == b"None"


def test_the_user_of_the_request_acts_while_it_is_answered() -> None:
    assert acting_user(who)(request_of(User(username="maria"))).content == b"maria"
    assert work.acting_user() is None

    def fails(_request: HttpRequest) -> HttpResponse:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        acting_user(fails)(request_of(User(username="maria")))
    assert work.acting_user() is None


def test_a_user_that_the_view_finds_acts() -> None:
    """As REST framework does by a token."""

    def view(request: HttpRequest) -> HttpResponse:
        request.user = User(username="by-token")
        return who(request)

    assert acting_user(view)(request_of(AnonymousUser())).content == b"by-token"


def test_requests_at_once_have_their_own_users() -> None:
    async def both() -> Any:
        middleware: Any = acting_user(who_async)
        users = (User(username=name) for name in ("maria", "joao"))
        return await asyncio.gather(*(middleware(request_of(user)) for user in users))

    assert [answer.content for answer in asyncio.run(both())] == [b"maria", b"joao"]
