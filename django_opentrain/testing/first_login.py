"""A trainer's first login, as they do it: by the mail, the site's own pages, and the site's own rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import mail
from django.test import Client, override_settings

from django_opentrain.conf import conf
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.pages import Form, Page
from django_opentrain.web.decorators import login_url

PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of tests
_URL: Final = re.compile(r"https?://[^\s<>\"']+")
#: Characters of a page that a failure shows.
_MAX_SHOWN: Final = 300


class FirstLoginFailed(AssertionError):  # noqa: N818 - says what happened
    """A trainer who was hired can't log in: at which step, and what the site says."""


def log_in(hire: Hire, password: str) -> Client:
    """Follow the newest first-login mail to a session. Raises ``FirstLoginFailed``."""
    _check_access(hire)
    body = _mail(hire)
    browser = _Browser()
    form = _open_link(browser, body)
    _choose_password(browser, form, password)
    if not browser.user_key:
        _log_in(browser, _account(hire), password)
    account = _account(hire)
    if account is not None and browser.user_key != str(account.pk):
        raise FirstLoginFailed("The login: the session is another user's than the trainer's.")
    browser.client.handler.enforce_csrf_checks = False
    return browser.client


class _Browser:
    """One with cookies, which is at a page."""

    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.url = ""
        self.status = 0
        self.page = Page("")
        self.was_redirected = False

    def open(self, url: str) -> None:
        self._request("get", url, {})

    def send(self, form: Form, data: dict[str, str]) -> None:
        self._request("post", urljoin(self.url, form.action) if form.action else self.url, data)

    def _request(self, method: str, url: str, data: dict[str, str]) -> None:
        parts = urlsplit(url)
        path = parts._replace(scheme="", netloc="", fragment="").geturl().removeprefix(conf.public_path)
        headers = {"Host": parts.netloc, **({"Referer": self.url} if self.url else {})}
        # The test runner adds its own host only; whether the public one is allowed is for the system checks.
        with override_settings(ALLOWED_HOSTS=[*settings.ALLOWED_HOSTS, parts.hostname]):
            response: Any = getattr(self.client, method)(
                path,
                data,
                follow=True,
                secure=parts.scheme == "https",
                headers=headers,
                SCRIPT_NAME=conf.public_path,
            )
        self.was_redirected = bool(response.redirect_chain)
        self.url = urljoin(url, response.redirect_chain[-1][0]) if self.was_redirected else url
        self.status = response.status_code
        self.page = Page(response.content.decode(errors="replace"))

    @property
    def user_key(self) -> str:
        """The primary key of the user who is logged in; "" if there is none."""
        return str(self.client.session.get(SESSION_KEY, ""))

    def failed(self, step: str, why: str) -> FirstLoginFailed:
        """With what the page says; the path without its query and token is in no message."""
        shown = self.page.text[:_MAX_SHOWN] or "nothing"
        return FirstLoginFailed(f"{step}: {why} (HTTP {self.status}). The page says: {shown}")


def _check_access(hire: Hire) -> None:
    grants = list(hire.grants)
    if not grants:
        raise FirstLoginFailed("The access: there is none yet. Link a project before the hire, then run().")
    if all(grant.state != AccessGrant.State.GRANTED for grant in grants):
        states = "; ".join(f"{grant.state} {grant.last_error}".strip() for grant in grants)
        raise FirstLoginFailed(f"The access: the trainer has none. {states}")


def _mail(hire: Hire) -> str:
    """The text of the newest mail to the trainer."""
    address = str(hire.participant.work_email).lower()
    outbox = getattr(mail, "outbox", [])
    sent = [each for each in outbox if address in (to.lower() for to in each.to)]
    if sent:
        return str(sent[-1].body)
    raise FirstLoginFailed(f"The mail: none was sent to the trainer. {_why_no_mail(hire)}")


def _why_no_mail(hire: Hire) -> str:
    account = TrainerAccount.objects.filter(opentrain_user_id=hire.opentrain_user_id).first()
    if account is None:
        return "The adapter gives access without an account of DjangoUsersAdapter: it sends its own mails."
    if not account.created_by_us:
        return "They log in with an account that they had before."
    reason = account.invitation_error or "It is read from django.core.mail.outbox."
    return f"The invitation is {account.invitation or 'not due'}. {reason}"


def _account(hire: Hire) -> AbstractBaseUser | None:
    """The trainer's, where the adapter is a ``DjangoUsersAdapter``."""
    account = TrainerAccount.objects.filter(opentrain_user_id=hire.opentrain_user_id).first()
    return None if account is None else account.user


def _open_link(browser: _Browser, body: str) -> Form:
    """The form for a password: of the first link in the mail that leads to one."""
    step = "The link"
    urls = _URL.findall(body)
    if not urls:
        raise FirstLoginFailed(f"{step}: the mail has none.")
    failures = []
    for url in urls:
        browser.open(url)
        form = browser.page.password_form
        if form is not None and browser.status == 200 and not _is_login(browser.url):
            return form
        asks = "it asks for a login" if _is_login(browser.url) else "its page has no form for a password"
        failures.append(browser.failed(step, asks))
    raise failures[0]


def _choose_password(browser: _Browser, form: Form, password: str) -> None:
    chosen = {each.name: password for each in form.named("password")}
    browser.send(form, {**form.data(), **chosen})
    if browser.status >= 400 or not (browser.was_redirected or browser.user_key):
        raise browser.failed("The password", "the site doesn't take it")


def _log_in(browser: _Browser, user: AbstractBaseUser | None, password: str) -> None:
    step = "The login"
    if browser.page.password_form is None or not _is_login(browser.url):
        browser.open(next(_login_links(browser), ""))
    form = browser.page.password_form
    if form is None or browser.status != 200:
        raise browser.failed(step, "the login page has no form for a password")
    data = form.data()
    for each in form.inputs:
        if each.kind == "password":
            data[each.name] = password
        elif each.is_typed and user is not None and not each.value:
            by_email = each.kind == "email"
            data[each.name] = (
                str(getattr(user, user.get_email_field_name())) if by_email else user.get_username()
            )
    browser.send(form, data)
    if not browser.user_key:
        raise browser.failed(step, "the site doesn't let the trainer in")


def _login_links(browser: _Browser) -> Iterator[str]:
    """Where the page leads to, then where ``LOGIN_URL`` is."""
    yield from (urljoin(browser.url, link) for link in browser.page.links if _is_login(link))
    yield urljoin(browser.url, login_url() or "/")


def _is_login(url: str) -> bool:
    page = login_url()
    return page is not None and urlsplit(url).path.removeprefix(conf.public_path) == urlsplit(page).path
