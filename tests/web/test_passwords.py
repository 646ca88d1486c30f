"""The first login of a trainer."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from django_opentrain.models import TrainerAccount
from tests import factories
from tests.web.markup import page_of, text_of
from tests.web.test_connect import send
from tests.web.test_decorators import check_markup

GOOD = "correct horse battery"


@pytest.fixture
def trainer() -> User:
    user = factories.make_user("maria.1@opentrain.work")
    user.set_unusable_password()
    user.save()
    factories.make_trainer_account(user)
    return user


def hire(user: User, project_url: str) -> None:
    """The trainer has access to one more project, which has this page."""
    trainer = TrainerAccount.objects.get(user=user).opentrain_user_id
    install = factories.make_install()
    person = factories.make_participant(install, opentrain_user_id=trainer)
    project = factories.make_link(install, external_project_url=project_url)
    factories.make_grant(factories.make_contract(install, [project]), project, person)


def ways_on(response: Any) -> list[str]:
    """The links of a page, which is sound, to others."""
    page = page_of(response)
    check_markup(page)
    return [link.attributes["href"] for link in page.all("a") if link.attributes["href"] != "#main"]


def ways_on_with_a_password(user: User) -> list[str]:
    client = Client(enforce_csrf_checks=True)
    url = client.get(link(user))["Location"]
    return ways_on(client.get(send(client, url, new_password1=GOOD, new_password2=GOOD)["Location"]))


def link(user: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    return reverse("opentrain:set-password", kwargs={"uidb64": uid, "token": token})


def test_a_trainer_chooses_a_password_once(trainer: User) -> None:
    client, url = Client(enforce_csrf_checks=True), link(trainer)
    form = client.get(url)
    assert form.status_code == 302
    assert default_token_generator.make_token(trainer).split("-")[1] not in form["Location"]
    page = client.get(form["Location"])
    assert "maria.1@opentrain.work" in text_of(page)
    check_markup(page_of(page))
    done = send(client, form["Location"], new_password1=GOOD, new_password2=GOOD)
    assert done["Location"] == reverse("opentrain:set-password-done")
    assert "You can sign in with it now." in text_of(client.get(done["Location"]))
    trainer.refresh_from_db()
    assert trainer.check_password(GOOD)
    assert "no longer valid" in text_of(Client().get(url))


@pytest.mark.parametrize("origin", ["", "http://testserver"])
def test_it_leads_to_the_project(trainer: User, origin: str) -> None:
    hire(trainer, f"{origin}/projects/7/?a=1&b=2")
    (sign_in,) = ways_on_with_a_password(trainer)
    answer = Client().post(sign_in, {"username": trainer.username, "password": GOOD})
    assert answer["Location"] == f"{origin}/projects/7/?a=1&b=2"


ELSEWHERE = ["https://evil.example/", "//evil.example/", "javascript:alert(1)"]


@pytest.mark.parametrize(
    "projects", [[], [""], ["/projects/7/", "/projects/8/"], *([url] for url in ELSEWHERE)]
)
def test_it_leads_to_the_site_itself(trainer: User, projects: list[str]) -> None:
    for url in projects:
        hire(trainer, url)
    assert ways_on_with_a_password(trainer) == [settings.LOGIN_URL]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_it_leads_nowhere_else(url: str) -> None:
    response = Client().get(reverse("opentrain:set-password-done"), {"next": url})
    assert ways_on(response) == [settings.LOGIN_URL]


def test_a_link_that_was_used_leads_to_the_login_page(trainer: User) -> None:
    hire(trainer, "/projects/7/")
    url = link(trainer)
    ways_on_with_a_password(trainer)
    assert ways_on(Client().get(url)) == [settings.LOGIN_URL]


@override_settings(LOGIN_URL="no-such-page")
def test_pages_of_a_site_without_a_login_page(trainer: User) -> None:
    used = link(trainer)
    User.objects.update(last_login=timezone.now())
    for url in (used, reverse("opentrain:set-password-done"), reverse("opentrain:home")):
        assert ways_on(Client().get(url)) == []


def test_what_is_wrong_with_a_password_is_told(trainer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    url = client.get(link(trainer))["Location"]
    response = send(client, url, new_password1=GOOD, new_password2="another")
    check_markup(page_of(response))
    assert "match" in text_of(response)
    assert GOOD not in response.content.decode()


@pytest.mark.parametrize("case", ["deactivated", "not a trainer", "unknown"])
def test_a_link_for_anybody_else_is_worth_nothing(trainer: User, case: str) -> None:
    url = link(trainer)
    if case == "deactivated":
        User.objects.update(is_active=False)
    elif case == "not a trainer":
        url = link(factories.make_user("boss"))
    else:
        User.objects.all().delete()
    response = Client().get(url)
    assert "no longer valid" in text_of(response)
    check_markup(page_of(response))


def test_nobody_has_to_be_logged_in(trainer: User) -> None:
    middleware = [*settings.MIDDLEWARE, "tests.web.test_receiver.needs_login"]
    with override_settings(MIDDLEWARE=middleware):
        response = Client().get(link(trainer))
        assert response.status_code == 302
        assert "set-password" in response["Location"]
        assert Client().get(reverse("opentrain:set-password-done")).status_code == 200
