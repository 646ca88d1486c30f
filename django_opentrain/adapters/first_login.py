"""How a trainer logs in for the first time: by a link that sets their password, sent to their Work Email."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from django_opentrain import languages
from django_opentrain.adapters import mail
from django_opentrain.conf import TRAINER_PAGES, conf
from django_opentrain.crypto import SecretStr
from django_opentrain.errors import AdapterError
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.platform.tracebacks import without_locals

Invitation = TrainerAccount.Invitation


@without_locals
def set_password_url(user: AbstractBaseUser) -> str:
    """The absolute URL at which this user sets a password; valid once, for ``PASSWORD_RESET_TIMEOUT`` seconds."""
    parts = {
        "uidb64": urlsafe_base64_encode(force_bytes(user.pk)),
        "token": default_token_generator.make_token(user),  # type: ignore[arg-type] # any user model works
    }
    return conf.view_url("set-password", **parts)


def request(account: TrainerAccount) -> None:
    """The trainer is to get a link for their first login: a worker sends it, once access is given."""
    account.invitation_requested_at = timezone.now()
    _save(account, Invitation.PENDING)


def cancel(account: TrainerAccount) -> None:
    """Access has ended: no mail is due any more."""
    if account.invitation in TrainerAccount.OPEN_INVITATIONS:
        _save(account, "")


def _save(account: TrainerAccount, state: str) -> None:
    """Begin anew. What becomes of a mail that is just being sent counts no more."""
    account.invitation = state
    account.invitation_count = account.invitation_attempts = 0
    account.next_invitation_at = None
    account.invitation_error_code = account.invitation_error = ""
    account.save(
        update_fields=[
            "invitation",
            "invitation_requested_at",
            "invitation_count",
            "invitation_attempts",
            "next_invitation_at",
            "invitation_error_code",
            "invitation_error",
        ]
    )


@without_locals
def send(user: AbstractBaseUser, url: SecretStr) -> bool:
    """Send ``url`` to the user's e-mail. Raises ``AdapterError`` when it doesn't go out."""
    context = {
        "user": user,
        "url": url,
        "work_url": conf.view_url("work") if TRAINER_PAGES in conf.pages else "",
        "site": urlsplit(conf.public_url).netloc,
        "days": settings.PASSWORD_RESET_TIMEOUT // 86_400,
    }
    with languages.speaking():
        subject = render_to_string("opentrain/mail/first_login_subject.txt", context).strip()
        body = render_to_string("opentrain/mail/first_login.txt", context)
    message = EmailMessage(subject, body, None, [getattr(user, user.get_email_field_name())])
    if not mail.send(message, is_wanted=lambda: not _has_ended(user)):
        raise AdapterError(_("The mail was not sent: this trainer's access has ended."))
    return True


def _has_ended(user: AbstractBaseUser) -> bool:
    """Whether the trainer's access has ended. Asked when the mail server is ready: it may have let us wait."""
    account = TrainerAccount.objects.filter(user=user.pk).first()
    if account is None:
        return False
    wanted = AccessGrant.objects.wanted()
    return not wanted.filter(participant__opentrain_user_id=account.opentrain_user_id).exists()
