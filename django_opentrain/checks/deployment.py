"""Settings that are fine on a developer's machine, and wrong in production."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage
from django.utils.http import is_same_domain

from django_opentrain.checks.messages import value_of, warning
from django_opentrain.conf import SETTING
from django_opentrain.constraints import is_local, split_url


def check_deployment(**_options: Any) -> list[CheckMessage]:
    """Run by ``check --deploy``."""
    return [*_addresses(), *_forms(), *_keys()]


def _addresses() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        return  # Django itself warns about it
    public, platform = split_url(value_of("PUBLIC_URL")), split_url(value_of("BASE_URL"))
    if public is not None and is_local(public):
        text = f"{SETTING}['PUBLIC_URL'] is this machine."
        yield warning(9, text, "Use the origin at which OpenTrain and customers reach the site.")
    if platform is not None and is_local(platform):
        text = f"{SETTING}['BASE_URL'] is this machine: a sandbox, not OpenTrain."
        yield warning(10, text, "Remove BASE_URL.")


def _forms() -> Iterator[CheckMessage]:
    """Browsers name the origin of a form's page; Django compares it with what it knows of the request."""
    public = split_url(value_of("PUBLIC_URL"))
    if public is None or public.scheme != "https" or is_local(public):
        return  # another check's
    if settings.DEBUG or settings.SECURE_PROXY_SSL_HEADER:
        return
    trusted = map(urlsplit, settings.CSRF_TRUSTED_ORIGINS)
    if not any(
        one.scheme == "https" and is_same_domain(public.netloc, one.netloc.lstrip("*")) for one in trusted
    ):
        text = (
            "Behind a proxy that terminates TLS, Django refuses our forms: it takes them for another site's."
        )
        hint = f"Set SECURE_PROXY_SSL_HEADER, or CSRF_TRUSTED_ORIGINS = ['https://{public.netloc}']."
        yield warning(18, text, hint)


def _keys() -> Iterator[CheckMessage]:
    keys = value_of("ENCRYPTION_KEYS")
    if isinstance(keys, (list, tuple)) and any(map(_was_made_up, keys)):
        text = f"A key in {SETTING}['ENCRYPTION_KEYS'] is not random: it was derived from text, or from an example."
        yield warning(
            11, text, "`manage.py opentrain_generate_key` prints a random one; put it first, then rotate."
        )


def _was_made_up(key: object) -> bool:
    """32 random bytes are never all printable, and never take on few values (chances below 1e-13)."""
    try:
        data = base64.urlsafe_b64decode(key) if isinstance(key, (str, bytes)) else b""
    except (binascii.Error, ValueError):
        return False
    return bool(data) and (all(32 <= byte < 127 for byte in data) or len(set(data)) < 12)
