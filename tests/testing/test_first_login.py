"""The kit's first login: where it ends, and what it says where it doesn't."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import SESSION_KEY, login
from django.contrib.auth.models import AbstractUser, User
from django.contrib.auth.views import LoginView
from django.core import mail
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from django_opentrain.models import TrainerAccount
from django_opentrain.testing import FirstLoginFailed, Hire, OpenTrain
from tests import factories
from tests.played import a_customer
from tests.testing.hosts import GroupAdapter

PAGE = '<form method="post"><input name="chosen" type="password"></form><p>Too short.</p>'


@csrf_exempt
def refusing(request: HttpRequest) -> HttpResponse:
    """Takes no password."""
    return HttpResponse(PAGE, status=400 if request.method == "POST" else 200)


@csrf_exempt
def wrong(request: HttpRequest) -> HttpResponse:
    """Logs in someone else."""
    if request.method == "POST":
        login(request, User.objects.get(username="other"), "django.contrib.auth.backends.ModelBackend")
    return HttpResponse(PAGE)


urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("accounts/login/", LoginView.as_view(template_name="admin/login.html"), name="login"),
    path("admin/", admin.site.urls),
    path("choose/", refusing),
    path("wrong/", wrong),
    path("gone/", lambda request: HttpResponse("<p>Gone.</p>", status=410)),
    path("closed/", lambda request: HttpResponseRedirect("/accounts/login/")),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Adapter(GroupAdapter):
    """Sends trainers to another page."""

    url = "https://annotate.example/choose/"

    def set_password_url(self, user: AbstractUser) -> str:
        return self.url


@pytest.fixture
def linked(opentrain: OpenTrain, settings: Any) -> OpenTrain:
    settings.LOGIN_URL, settings.LOGIN_REDIRECT_URL = "login", "/opentrain/work/"
    a_customer(opentrain)
    opentrain.link("1")
    return opentrain


def hired(opentrain: OpenTrain, **values: Any) -> Hire:
    hire = opentrain.hire("Maria S.", **values)
    opentrain.run()
    return hire


def with_page(settings: Any, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(Adapter, "url", url)
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Adapter"}


@pytest.mark.long
def test_it_ends_logged_in(linked: OpenTrain) -> None:
    maria = hired(linked)
    browser = linked.first_login(maria)
    assert browser.session[SESSION_KEY] == maria.grant.host_user_ref
    # Further requests of a test need no CSRF token.
    assert browser.post("/accounts/login/").status_code == 200
    linked.end(maria)
    linked.run()
    assert browser.get("/opentrain/work/").status_code == 302


def test_the_password_is_the_one_that_was_asked_for(linked: OpenTrain) -> None:
    maria = hired(linked)
    linked.first_login(maria, "one of my own")
    assert User.objects.get(pk=maria.grant.host_user_ref).check_password("one of my own")


@pytest.mark.long
def test_a_changed_work_email_has_the_newest_mail(linked: OpenTrain) -> None:
    maria = hired(linked)
    linked.change_email(maria, "maria.silva@opentrain.work")
    linked.travel(days=2)
    linked.run()
    assert linked.first_login(maria).session[SESSION_KEY] == maria.grant.host_user_ref


def fails(linked: OpenTrain, hire: Hire, match: str) -> None:
    with pytest.raises(FirstLoginFailed, match=match):
        linked.first_login(hire)


def test_without_access_it_says_so(linked: OpenTrain) -> None:
    maria = linked.hire("Maria S.", work_email="later")
    fails(linked, maria, "^The access: there is none yet")
    linked.run()
    fails(linked, maria, "^The access: the trainer has none. WAITING_FOR_EMAIL")


def test_without_a_mail_it_says_so(linked: OpenTrain) -> None:
    maria = hired(linked)
    mail.outbox.clear()
    fails(linked, maria, "^The mail: none .* The invitation is SENT. It is read from")
    TrainerAccount.objects.update(created_by_us=False)
    fails(linked, maria, "^The mail: none .* that they had before")
    TrainerAccount.objects.all().delete()
    fails(linked, maria, "^The mail: none .* sends its own mails")


def test_a_mail_without_a_link(linked: OpenTrain) -> None:
    maria = hired(linked)
    mail.outbox[-1].body = "Welcome!"
    fails(linked, maria, "^The link: the mail has none")


def test_a_link_that_was_used(linked: OpenTrain) -> None:
    maria = hired(linked)
    linked.first_login(maria)
    fails(linked, maria, r"^The link: its page has no form .*\(HTTP 200\).* no longer valid")


def test_a_link_to_a_page_that_is_gone(linked: OpenTrain, settings: Any, monkeypatch: Any) -> None:
    with_page(settings, monkeypatch, "https://annotate.example/gone/?x=1")
    fails(linked, hired(linked), r"^The link: .*\(HTTP 410\). The page says: Gone.")


def test_a_link_behind_the_login(linked: OpenTrain, settings: Any, monkeypatch: Any) -> None:
    with_page(settings, monkeypatch, "https://annotate.example/closed/")
    fails(linked, hired(linked), "^The link: it asks for a login")


def test_a_password_that_is_refused(linked: OpenTrain, settings: Any, monkeypatch: Any) -> None:
    maria = hired(linked)
    settings.AUTH_PASSWORD_VALIDATORS = [
        {
            "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
            "OPTIONS": {"min_length": 50},
        }
    ]
    fails(linked, maria, "^The password: the site doesn't take it .* at least 50 characters")
    with_page(settings, monkeypatch, "https://annotate.example/choose/")
    fails(linked, hired(linked), "^The password: .* Too short")


def test_a_login_that_is_refused(linked: OpenTrain, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = ["tests.testing.test_first_login.NoOne"]
    fails(linked, hired(linked), "^The login: the site doesn't let the trainer in .* correct username")


class NoOne:
    """Authenticates no one."""

    def authenticate(self, request: Any, **credentials: Any) -> None:
        return None


def test_a_site_without_a_login_page(linked: OpenTrain, settings: Any) -> None:
    settings.LOGIN_URL = "/gone/"
    fails(linked, hired(linked), r"^The login: the login page has no form .*\(HTTP 410\)")


def test_a_page_that_logs_in_another_user(linked: OpenTrain, settings: Any, monkeypatch: Any) -> None:
    factories.make_user("other")
    with_page(settings, monkeypatch, "https://annotate.example/wrong/")
    fails(linked, hired(linked), "^The login: .* another user's")
