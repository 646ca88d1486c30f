"""Middleware that a host adds: docs/how-to says which it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from django_opentrain.acting import answering
from django_opentrain.web.timer import add_timer


@sync_and_async_middleware
def acting_user(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Lets observers know who makes the request in which a row is saved or deleted."""
    if iscoroutinefunction(get_response):
        return _asynchronous(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with answering(request):
            response: HttpResponseBase = get_response(request)
            return response

    return middleware


def _asynchronous(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    async def middleware(request: HttpRequest) -> HttpResponseBase:
        with answering(request):
            return await get_response(request)

    return middleware


@sync_and_async_middleware
def timer(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Adds the timer to the pages that trainers see: for sites whose pages change without being loaded.

    Below what compresses responses, and below what knows the user.
    """
    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await get_response(request)
            return await sync_to_async(add_timer)(request, response)

        return asynchronous

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return add_timer(request, get_response(request))

    return middleware
