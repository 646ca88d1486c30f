"""Decorators that exempt our views from the host's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import connections, transaction
from django.http.response import HttpResponseBase

V = TypeVar("V", bound=Callable[..., HttpResponseBase])


def open_to_anonymous(view: V) -> V:
    """Require no login, even under ``LoginRequiredMiddleware``.

    The same as ``login_not_required``, which Django has only since 5.1.
    """
    view.__dict__["login_required"] = False
    return view


def keep_csrf_checks(view: V) -> V:
    """CSRF checks even if the host disables them: Label Studio does, for views without this attribute."""
    view.__dict__["_dont_enforce_csrf_checks"] = False
    return view


def never_atomic(view: V) -> V:
    """Exempt from ``ATOMIC_REQUESTS``, on every database.

    The receiver's one INSERT needs no transaction; and what a page does on OpenTrain must be stored here before the
    call and after it, even if the request fails: one transaction around both would lose it.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
