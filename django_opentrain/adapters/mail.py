"""The site's mail server, asked with a limit: one that never answers must not hold up a worker."""

from __future__ import annotations

import io
import logging
import smtplib
from collections.abc import Callable
from typing import Any, Final

from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.errors import MailError, MailServerError
from django_opentrain.platform.deadlines import Attempt, BoundedReads
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.time_limits import soft_time_limit

logger = logging.getLogger(__name__)

#: Seconds for all that a mail server says, and for each wait should the site set longer ones or none.
MAX_SECONDS: Final = 10.0

#: Django's, from 6.1 on. Any: the stubs are older.
mailers: Any = getattr(mail, "mailers", None)

#: What a server says of one mail, so that the next one may be taken.
_OF_ONE_MAIL: Final = (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError)


class _Conversation(smtplib.SMTP):
    """Ends in time, also where each byte comes in time and the answer doesn't."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._attempt = Attempt(seconds=MAX_SECONDS)
        super().__init__(*args, **kwargs)

    def getreply(self) -> tuple[int, bytes]:
        # STARTTLS begins anew, with another socket.
        if self.file is None and self.sock is not None:
            received = self.sock.makefile("rb", buffering=0)
            self.file = io.BufferedReader(BoundedReads(received, self.sock, self._attempt))
        return super().getreply()


class _Backend(EmailBackend):
    """Django's, or a subclass of it, with conversations of ours."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        usual = super().connection_class
        return type(usual.__name__, (_Conversation, usual), {})


@without_locals
def send(message: EmailMessage, *, is_wanted: Callable[[], bool] = lambda: True) -> bool:
    """Send it, if ``is_wanted`` still says so once the mail server has answered; whether it was sent.

    Raises ``MailServerError`` when no mail can be sent at all, ``MailError`` when this one was refused.
    """
    try:
        connection = _connection()
        try:
            connection.open()
            if not is_wanted():
                return False
            # None is what some backends return: only 0 says that nothing was sent.
            if connection.send_messages([message]) == 0:
                raise MailError
        finally:
            _close(connection)
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - each mail backend has errors of its own
        raise _translated(error) from None
    return True


@without_locals
def check_server() -> None:
    """Connect to the mail server, log in, and send nothing. Raises ``MailServerError``."""
    try:
        connection = _connection()
        try:
            connection.open()
        finally:
            _close(connection)
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - each mail backend has errors of its own
        raise MailServerError(_text(error)) from None


def _connection() -> Any:
    connection: Any = mail.get_connection() if mailers is None else mailers[conf.mailer]
    # Django's SMTP backend has it, and so have some of others'. What the rest takes is theirs to limit.
    if hasattr(connection, "timeout"):
        connection.timeout = min(connection.timeout or MAX_SECONDS, MAX_SECONDS)
    if isinstance(connection, EmailBackend):
        usual = type(connection)
        connection.__class__ = type(usual.__name__, (_Backend, usual), {})
    return connection


def _close(connection: Any) -> None:
    """A mail that was accepted stays so, whatever the server says to our goodbye."""
    try:
        connection.close()
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - each mail backend has errors of its own
        logger.info("Closing the mail connection failed: %s", type(error).__name__)


def _translated(error: Exception) -> MailError:
    """What went wrong, without the error's text: a mail server's answer names the address."""
    if isinstance(error, MailError):
        return error
    # All of smtplib's errors are OSErrors, as those of the network are.
    of_the_server = isinstance(error, OSError) and not isinstance(error, _OF_ONE_MAIL)
    return (MailServerError if of_the_server else MailError)(_text(error))


def _text(error: Exception) -> str:
    name, code = type(error).__name__, getattr(error, "smtp_code", None)
    # smtplib has an error of its own for it.
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return _("The mail server did not answer in time (%(error)s).") % {"error": name}
    if isinstance(code, int):
        return _("The mail server refused the mail (%(error)s, code %(code)d).") % {
            "error": name,
            "code": code,
        }
    return _("The mail could not be sent (%(error)s).") % {"error": name}
