"""How trainers get in for the first time."""

from __future__ import annotations

import logging
import re

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.utils.http import urlsafe_base64_decode

from django_opentrain.adapters import AdapterError
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.errors import MailServerError
from django_opentrain.models import TrainerAccount
from django_opentrain.services.access import invitations
from tests import factories
from tests.adapters.conftest import EMAIL, MakeGrant, revoke, user_of

pytestmark = pytest.mark.django_db


def test_a_new_account_gets_a_link_by_mail(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    adapter.grant_access(make_grant())
    assert not mail.outbox
    invitations.send_due()
    (message,) = mail.outbox
    assert message.to == [EMAIL]
    assert message.subject == "Your access to annotate.example"
    assert f"username: {EMAIL}" in message.body
    assert "expires after 3 days" in message.body
    assert re.search(r"^  https://annotate\.example/\S+$", str(message.body), re.MULTILINE)
    assert "\n  https://annotate.example/opentrain/work/\n" in message.body


def test_the_link_is_good_for_this_user(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    adapter.grant_access(make_grant())
    *_rest, uid, token, _end = adapter.set_password_url(user_of()).split("/")
    assert urlsafe_base64_decode(uid).decode() == str(user_of().pk)
    assert default_token_generator.check_token(user_of(), token)


def test_giving_again_sends_nothing(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    invitations.send_due()
    adapter.grant_access(grant)
    adapter.grant_access(make_grant("zeta"))
    assert invitations.send_due() == 0


def test_an_adopted_account_is_sent_nothing(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "may_adopt", lambda _user: True)
    factories.make_user("maria", email=EMAIL)
    adapter.grant_access(make_grant())
    assert invitations.send_due() == 0
    assert not mail.outbox


def test_a_trainer_who_comes_back_gets_a_link_again(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    revoke(adapter, grant)
    adapter.grant_access(make_grant(email="new@opentrain.work"))
    invitations.send_due()
    assert [message.to for message in mail.outbox] == [["new@opentrain.work"]]


def test_a_mail_that_fails_undoes_nothing_and_names_nobody(
    adapter: DjangoUsersAdapter,
    make_grant: MakeGrant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(f"550 {EMAIL} is not here")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    adapter.grant_access(make_grant())
    with caplog.at_level(logging.ERROR):
        invitations.send_due()
    assert user_of().groups.exists()
    assert "OSError" in caplog.text
    assert EMAIL not in caplog.text
    with pytest.raises(MailServerError) as caught:
        adapter.invite(user_of())
    assert EMAIL not in str(caught.value)
    monkeypatch.undo()
    assert adapter.invite(user_of())


def test_the_mail_can_be_sent_again(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    assert adapter.resend_first_login(grant)
    (message,) = mail.outbox
    assert message.to == [EMAIL]
    assert "/set-password/" in message.body


@pytest.mark.parametrize("case", ["adopted", "deactivated", "unknown"])
def test_it_is_not_sent_again_for_an_account_that_is_not_ours(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, case: str
) -> None:
    grant = make_grant()
    if case != "unknown":
        adapter.grant_access(grant)
    if case == "adopted":
        TrainerAccount.objects.update(created_by_us=False)
    User.objects.update(is_active=case != "deactivated")
    with pytest.raises(AdapterError):
        adapter.resend_first_login(grant)
    assert not mail.outbox
