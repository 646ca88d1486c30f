"""Settings that are fine on a developer's machine, and wrong in production."""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from django import VERSION
from django.conf import global_settings, settings
from django.core.checks import CheckMessage
from django.utils.http import is_same_domain
from django.utils.module_loading import import_string

from django_opentrain.checks.messages import CheckId, message, value_of
from django_opentrain.conf import SETTING, SETTINGS
from django_opentrain.constraints import MAILER, is_local, is_this_machine, split_url

SMTP: Final = "django.core.mail.backends.smtp.EmailBackend"
FOR_DEVELOPMENT: Final = tuple(
    f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy", "filebased", "locmem")
)


def check_deployment(**_options: Any) -> list[CheckMessage]:
    """Run by ``check --deploy``."""
    return [*_addresses(), *_forms(), *_keys(), *_mails()]


#: With `--deploy`: `PUBLIC_URL` is this machine, which OpenTrain can't reach.
W009: Final = CheckId("W009")
#: With `--deploy`: `BASE_URL` is this machine: a sandbox, not OpenTrain.
W010: Final = CheckId("W010")


def _addresses() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        return  # Django itself warns about it
    public, platform = split_url(value_of("PUBLIC_URL")), split_url(value_of("BASE_URL"))
    if public is not None and is_local(public):
        text = f"{SETTING}['PUBLIC_URL'] is this machine."
        yield message(W009, text, "Use the origin at which OpenTrain and customers reach the site.")
    if platform is not None and is_local(platform):
        text = f"{SETTING}['BASE_URL'] is this machine: a sandbox, not OpenTrain."
        yield message(W010, text, "Remove BASE_URL.")


#: With `--deploy`: neither `SECURE_PROXY_SSL_HEADER` nor `CSRF_TRUSTED_ORIGINS` is set. Behind a proxy that
#: terminates TLS Django thinks that a request came over HTTP, and refuses each form of ours, from *Connect*
#: on, with status 403. Set the header if your proxy sets it itself on each request, or name your origin:
#: `CSRF_TRUSTED_ORIGINS = ["https://annotate.example.com"]`. That is harmless where Django serves TLS itself.
W018: Final = CheckId("W018")


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
        yield message(W018, text, hint)


#: With `--deploy`: an encryption key is not random. It was typed, derived from a text, or copied from an
#: example, so others may know it. [Change it](docs/how-to/change-the-key.md).
W011: Final = CheckId("W011")


def _keys() -> Iterator[CheckMessage]:
    keys = value_of("ENCRYPTION_KEYS")
    if isinstance(keys, (list, tuple)) and any(map(_was_made_up, keys)):
        text = f"A key in {SETTING}['ENCRYPTION_KEYS'] is not random: it was derived from text, or from an example."
        yield message(
            W011,
            text,
            "`manage.py opentrain_generate_key` prints a random one;"
            " docs/how-to/change-the-key.md says how to change it.",
        )


def _was_made_up(key: object) -> bool:
    """32 random bytes are never all printable, and never take on few values (chances below 1e-13)."""
    try:
        data = base64.urlsafe_b64decode(key) if isinstance(key, (str, bytes)) else b""
    except (binascii.Error, ValueError):
        return False
    return bool(data) and (all(32 <= byte < 127 for byte in data) or len(set(data)) < 12)


#: With `--deploy`: the mail with which a trainer chooses a password doesn't arrive, so that those whom your
#: customers hire can't log in. Either Django's mail backend is one for development (`console`, `dummy`,
#: `filebased`, `locmem`), or mails go by SMTP to this machine, Django's default, or they come from
#: `webmaster@localhost`, the default of `DEFAULT_FROM_EMAIL`. Set `EMAIL_HOST` and what belongs to it, from
#: Django 6.1 on the entry of `MAILERS` that `OPENTRAIN["MAILER"]` names: there a `host` has to stand among
#: the `OPTIONS`, or Django sends nothing. A relay on this machine, such as Postfix, is fine: silence this
#: check, and let `opentrain_doctor` try whether the server answers. Adapters that send no mail, or have an
#: `invite()` of their own, aren't checked.
W015: Final = CheckId("W015")


def _mails() -> Iterator[CheckMessage]:
    if settings.DEBUG or not MAILER.holds(value_of("MAILER")) or not _sends_mails():
        return
    backend, host = _mailer()
    if backend in FOR_DEVELOPMENT:
        text = f"First-login mails reach no trainer: {backend} is for development."
        yield message(
            W015, text, "Use your mail server's, or service's, backend in EMAIL_BACKEND or MAILERS."
        )
    elif backend == SMTP and not host and _has_mailers():
        text = "First-login mails can't be sent: MAILERS names no host."
        yield message(
            W015, text, 'Give the mailer "OPTIONS": {"host": …}, with the name of your mail server.'
        )
    elif backend == SMTP and (not host or is_this_machine(host.lower())):
        text = "First-login mails go to a mail server on this machine."
        hint = (
            "Name your mail server in EMAIL_HOST, or its OPTIONS in MAILERS. If one runs here, such as Postfix"
            " as a relay, silence this check."
        )
        yield message(W015, text, hint)
    elif settings.DEFAULT_FROM_EMAIL == global_settings.DEFAULT_FROM_EMAIL:
        text = f"First-login mails come from {settings.DEFAULT_FROM_EMAIL}, which other mail servers refuse."
        yield message(W015, text, "Set DEFAULT_FROM_EMAIL to an address of your domain.")


def _sends_mails() -> bool:
    """Whether the adapter does, in the default one's way. What can't be imported is reported elsewhere."""
    default = import_string(SETTINGS["ADAPTER"].default)
    try:
        adapter = import_string(value_of("ADAPTER"))
    except Exception:  # noqa: BLE001 - a module that fails when it is imported may raise anything
        return False
    return getattr(adapter, "invite", None) is default.invite and bool(adapter.sends_first_login)


def _has_mailers() -> bool:
    """Whether mails go by ``MAILERS``, where a host has no default as ``EMAIL_HOST`` has."""
    return VERSION >= (6, 1) and getattr(settings, "MAILERS", None) is not None


def _mailer() -> tuple[str, str]:
    """The backend that sends first-login mails, and its host."""
    if not _has_mailers():
        with warnings.catch_warnings():
            # From Django 6.1 on they are deprecated, which it says itself where a site sets them.
            warnings.simplefilter("ignore")
            return settings.EMAIL_BACKEND, settings.EMAIL_HOST
    chosen: dict[str, Any] = settings.MAILERS.get(value_of("MAILER"), {})
    return chosen.get("BACKEND", SMTP), chosen.get("OPTIONS", {}).get("host", "")
