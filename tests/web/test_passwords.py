"""The first login of a trainer."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.test import Client, override_settings
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

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
