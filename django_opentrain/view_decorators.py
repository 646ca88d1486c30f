"""What a view of ours is exempt from, whatever the host's settings are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import connections, transaction
from django.http.response import HttpResponseBase

V = TypeVar("V", bound=Callable[..., HttpResponseBase])


def open_to_anonymous(view: V) -> V:
    """Let anybody in, also under ``LoginRequiredMiddleware``.

    What ``login_not_required`` does; that decorator is only there from Django 5.1.
    """
    view.__dict__["login_required"] = False
    return view


def never_atomic(view: V) -> V:
    """Exempt from ``ATOMIC_REQUESTS``, on every database.

    The receiver's one INSERT needs no transaction; and what a page does at OpenTrain must be remembered here before
    the call and after it, even when the request fails: one transaction around both would forget it.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
