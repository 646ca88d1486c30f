"""How a trainer logs in for the first time: by a link that sets their password, sent to their Work Email."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from django_opentrain.conf import conf

logger = logging.getLogger(__name__)


def set_password_url(user: AbstractUser) -> str:
    """The absolute URL at which this user sets a password; good once, for ``PASSWORD_RESET_TIMEOUT`` seconds."""
    parts = {
        "uidb64": urlsafe_base64_encode(force_bytes(user.pk)),
        "token": default_token_generator.make_token(user),  # type: ignore[arg-type] # any user model works
    }
    return conf.view_url("set-password", **parts)


def send_first_login(user: AbstractUser, url: str) -> bool:
    """Send ``url`` to the user's e-mail; whether the mail server took it.

    Access doesn't depend on it: a failure is logged and the mail can be sent again.
    """
    context = {
        "user": user,
        "url": url,
        "site": urlsplit(conf.public_url).netloc,
        "days": settings.PASSWORD_RESET_TIMEOUT // 86_400,
    }
    subject = render_to_string("opentrain/mail/first_login_subject.txt", context).strip()
    body = render_to_string("opentrain/mail/first_login.txt", context)
    address = getattr(user, user.get_email_field_name())
    try:
        send_mail(subject, body, None, [address])
    except Exception as error:  # noqa: BLE001 - each mail backend has its own errors, and none may undo access
        # Not its text: a mail server's answer names the address.
        logger.error("The first-login mail for account %s was not sent: %s", user.pk, type(error).__name__)
        return False
    return True
