"""The site's mail server, asked with a limit: one that never answers must not hold up a worker."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from typing import Any, Final

from django.core import mail
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.errors import MailError, MailServerError

logger = logging.getLogger(__name__)

#: Seconds that the mail server has for each of its answers, should the site give it longer or have no limit.
MAX_SECONDS: Final = 10.0

#: Django's, from 6.1 on. Any: the stubs are older.
mailers: Any = getattr(mail, "mailers", None)

#: What a server says of one mail, so that the next one may be taken.
_OF_ONE_MAIL: Final = (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError)


def send(message: EmailMessage, *, is_wanted: Callable[[], bool] = lambda: True) -> bool:
    """Send it, if ``is_wanted`` still says so once the mail server has answered; whether it was sent.

    Raises ``MailServerError`` when no mail can be sent at all, ``MailError`` when this one was refused.
    """
    try:
        connection = _connection()
        connection.open()
        try:
            if not is_wanted():
                return False
            # None is what some backends return: only 0 says that nothing was sent.
            if connection.send_messages([message]) == 0:
                raise MailError
        finally:
            _close(connection)
    except Exception as error:  # noqa: BLE001 - each mail backend has errors of its own
        raise _translated(error) from None
    return True


def check_server() -> None:
    """Connect to the mail server, log in, and send nothing. Raises ``MailServerError``."""
    try:
        connection = _connection()
        connection.open()
        _close(connection)
    except Exception as error:  # noqa: BLE001 - each mail backend has errors of its own
        raise MailServerError(_text(error)) from None


def _connection() -> Any:
    connection = mail.get_connection() if mailers is None else mailers[conf.mailer]
    # Django's SMTP backend has it, and so have Anymail's. Others bound their sending themselves.
    if hasattr(connection, "timeout"):
        connection.timeout = min(connection.timeout or MAX_SECONDS, MAX_SECONDS)
    return connection


def _close(connection: Any) -> None:
    """A mail that was accepted stays so, whatever the server says to our goodbye."""
    try:
        connection.close()
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
