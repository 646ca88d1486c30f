"""The nonce by which a site's Content-Security-Policy trusts the scripts and styles of one page."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from django import VERSION
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

#: Django's, from 6.0 on. Any: the stubs are older.
_csp: Final[Any] = import_module("django.middleware.csp") if VERSION >= (6, 0) else None


def nonce_attribute(request: HttpRequest | None) -> SafeString:
    """``nonce="…"`` after a blank, for a tag of this page; nothing where no middleware of the site's has made one."""
    nonce = getattr(request, "csp_nonce", None)  # django-csp's
    if nonce is None and _csp is not None:
        nonce = _csp.get_nonce(request)
    # Both are false until they are read, which puts them into the header.
    return SafeString("") if nonce is None else format_html(' nonce="{}"', nonce)
