"""Who acts: the user of the request that is being answered, under WSGI and ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse

from django_opentrain.middleware import acting_user as middleware
from django_opentrain.services import work


def request_of(user: Any) -> HttpRequest:
    request = HttpRequest()
    request.user = user
    return request


def test_it_is_the_requests_user_while_it_is_answered() -> None:
    ada, seen = User(username="ada"), []

    def view(_request: HttpRequest) -> HttpResponse:
        seen.append(work.acting_user())
        return HttpResponse()

    middleware(view)(request_of(ada))
    assert seen == [ada]
    assert work.acting_user() is None, "the request is answered"


def test_it_is_whom_the_view_finds() -> None:
    """REST framework finds the user of a token in the view."""
    ada = User(username="ada")

    def view(request: HttpRequest) -> HttpResponse:
        request.user = ada
        assert work.acting_user() == ada
        return HttpResponse()

    middleware(view)(request_of(AnonymousUser()))


@pytest.mark.parametrize("request_", [request_of(AnonymousUser()), HttpRequest()], ids=["visitor", "no user"])
def test_a_visitor_acts_for_no_one(request_: HttpRequest) -> None:
    def view(_request: HttpRequest) -> HttpResponse:
        assert work.acting_user() is None
        return HttpResponse()

    middleware(view)(request_)


def test_requests_at_the_same_time_have_their_own() -> None:
    seen: list[tuple[Any, Any]] = []

    async def view(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        seen.append((request.user, work.acting_user()))
        return HttpResponse()

    async def both() -> None:
        users = User(username="ada"), User(username="grace")
        await asyncio.gather(*(middleware(view)(request_of(user)) for user in users))

    asyncio.run(both())
    assert [each.username for each, _acting in seen] == ["ada", "grace"]
    assert all(user is acting for user, acting in seen)


def test_it_ends_with_a_request_that_fails() -> None:
    def view(_request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        middleware(view)(request_of(User(username="ada")))
    assert work.acting_user() is None
