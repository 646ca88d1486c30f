"""First-login mails: what becomes of each is a state of the account, whatever the mail server does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.db import connection
from django.db.models import F
from django.utils import timezone

from django_opentrain.adapters import AdapterError
from django_opentrain.adapters import mail as mailing
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.errors import MailError, MailServerError, OperationRefused
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.services.access import invitations
from django_opentrain.services.conditions import CONDITIONS
from tests import factories
from tests.mail_servers import Postbox, closed_port, postbox, send_by, silence

pytestmark = pytest.mark.django_db

Invitation = TrainerAccount.Invitation
DAY = timedelta(days=1)


def hire(trainer: str = "maria", tenant: str = "acme") -> AccessGrant:
    """A trainer who was just given access by the default adapter."""
    install = factories.make_install(tenant)
    link = factories.make_link(install)
    person = factories.make_participant(
        install, opentrain_user_id=f"usr_{trainer}", work_email=f"{trainer}@opentrain.work"
    )
    grant = factories.make_grant(factories.make_contract(install, [link]), link, person)
    DjangoUsersAdapter().grant_access(grant)
    return grant


def account_of(trainer: str = "maria") -> TrainerAccount:
    return TrainerAccount.objects.select_related("user").get(opentrain_user_id=f"usr_{trainer}")


def state_of(trainer: str = "maria") -> str:
    return account_of(trainer).invitation


def let_pass(wait: timedelta) -> None:
    """As if all that happened until now had happened so much earlier."""
    names = ("invitation_requested_at", "invitation_sent_at", "next_invitation_at")
    TrainerAccount.objects.update(**{name: F(name) - wait for name in names})


@pytest.fixture(autouse=True)
def default_adapter(settings: Any) -> None:
    adapter = "django_opentrain.adapters.users.DjangoUsersAdapter"
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": adapter}


@pytest.fixture
def server(settings: Any) -> Iterator[Postbox]:
    with postbox() as box:
        send_by(settings, box.port)
        yield box


def test_it_is_sent_once_access_is_given(server: Postbox) -> None:
    hire()
    assert state_of() == Invitation.PENDING
    assert invitations.send_due() == 1
    account = account_of()
    assert (account.invitation, account.invitation_attempts, account.invitation_error) == ("SENT", 0, "")
    assert account.invitation_sent_at is not None
    assert account.next_invitation_at == account.link_expires_at
    (sent,) = server.mails
    assert "To: maria@opentrain.work" in sent
    assert invitations.send_due() == 0


def test_no_transaction_of_ours_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    depths: list[int] = []

    def invite(*_: object) -> bool:
        depths.append(len(connection.savepoint_ids))
        return True

    monkeypatch.setattr(DjangoUsersAdapter, "invite", invite)
    hire()
    invitations.send_due()
    assert depths == [0]


@pytest.mark.long
def test_a_mail_server_that_is_not_there_is_asked_once_for_all(
    settings: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_by(settings, closed_port())
    asked: list[str] = []
    invite = DjangoUsersAdapter.invite

    def count(adapter: DjangoUsersAdapter, user: User) -> bool:
        asked.append(user.get_username())
        return invite(adapter, user)

    monkeypatch.setattr(DjangoUsersAdapter, "invite", count)
    for number in range(41):
        hire(f"trainer{number}", f"customer{number % 3}")
    with caplog.at_level(logging.ERROR):
        assert invitations.send_due() == 1
    assert len(asked) == 1
    assert "@" not in caplog.text
    failed = TrainerAccount.objects.filter(
        invitation=Invitation.FAILED,
        invitation_attempts=1,
        next_invitation_at__gt=timezone.now(),
        invitation_error_code="MAIL_UNAVAILABLE",
        invitation_error__contains="ConnectionRefusedError",
    )
    assert failed.count() == 41
    assert invitations.send_due() == 0
    with postbox() as box:
        send_by(settings, box.port)
        let_pass(timedelta(minutes=1))
        assert invitations.send_due() == 41
        assert len(box.mails) == 41
    assert not TrainerAccount.objects.exclude(invitation=Invitation.SENT).exists()


def test_a_silent_mail_server_holds_up_a_worker_only_briefly(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "MAX_SECONDS", 0.3)
    hire("maria")
    hire("ken")
    with silence() as port:
        send_by(settings, port)
        began = time.monotonic()
        assert invitations.send_due() == 1
        assert time.monotonic() - began < 2
    assert {state_of("maria"), state_of("ken")} == {Invitation.FAILED}
    assert "did not answer in time" in account_of("ken").invitation_error


@pytest.mark.parametrize("at", ["", "ehlo", "mail", "rcpt", "data"])
def test_a_mail_server_that_drips_does_so_no_longer(
    at: str, server: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, the answer never."""
    monkeypatch.setattr(mailing, "MAX_SECONDS", 0.4)
    server.drips_at = at.upper()
    hire()
    began = time.monotonic()
    assert invitations.send_due() == 1
    assert time.monotonic() - began < 2
    assert state_of() == Invitation.FAILED
    assert "did not answer in time" in account_of().invitation_error
    assert not server.mails


def test_a_goodbye_that_drips_is_cut_short(server: Postbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailing, "MAX_SECONDS", 0.4)
    server.drips_at = "QUIT"
    hire()
    began = time.monotonic()
    invitations.send_due()
    assert time.monotonic() - began < 2
    assert state_of() == Invitation.SENT


def test_the_limit_is_the_shorter_one(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def remember(backend: Any, _messages: Any) -> int:
        limits.append(backend.timeout)
        return 1

    monkeypatch.setattr(EmailBackend, "send_messages", remember)
    monkeypatch.setattr(EmailBackend, "open", lambda *_: True)
    for timeout in (None, 3, 60):
        send_by(settings, 25, timeout)
        mailing.send(mail.EmailMessage("", "", None, ["maria@opentrain.work"]))
    assert limits == [10.0, 3, 10.0]


def test_one_that_is_refused_holds_up_no_other(server: Postbox) -> None:
    server.refuses = True
    hire("maria")
    hire("ken")
    assert invitations.send_due() == 2
    account = account_of()
    assert account.invitation_error_code == "MAIL_REFUSED"
    assert "SMTPRecipientsRefused" in account.invitation_error
    assert "@" not in account.invitation_error


def test_pauses_grow(server: Postbox) -> None:
    server.refuses = True
    hire()
    pauses = []
    for _attempt in range(4):
        invitations.send_due()
        account = account_of()
        assert account.next_invitation_at is not None
        pauses.append((account.next_invitation_at - timezone.now()).total_seconds())
        let_pass(timedelta(hours=1))
    assert account_of().invitation_attempts == 4
    assert pauses == sorted(pauses)
    assert pauses[-1] > 4 * pauses[0]


def test_an_attempt_that_ends_its_process_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> bool:
        raise SystemExit

    monkeypatch.setattr(DjangoUsersAdapter, "invite", die)
    hire("maria")
    with pytest.raises(SystemExit):
        invitations.send_due()
    account = account_of()
    assert account.invitation_attempts == 1
    assert account.next_invitation_at is not None
    assert account.next_invitation_at > timezone.now()
    assert "did not finish" in account.invitation_error
    monkeypatch.undo()
    hire("ken")
    assert invitations.send_due() == 1
    assert state_of("ken") == Invitation.SENT


def test_customers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def invite(_adapter: DjangoUsersAdapter, user: User) -> bool:
        sent.append(user.username[0])
        return True

    monkeypatch.setattr(DjangoUsersAdapter, "invite", invite)
    for number in range(5):
        hire(f"a{number}", "acme")
    hire("b", "bright")
    invitations.send_due()
    assert sent == ["a", "b", "a", "a", "a", "a"]


def end_contract(grant: AccessGrant) -> None:
    AccessGrant.objects.filter(pk=grant.pk).update(desired=AccessGrant.Desired.REVOKED)


def test_nothing_is_sent_once_access_ends() -> None:
    end_contract(hire())
    assert invitations.send_due() == 0
    assert not mail.outbox


def test_nothing_is_sent_when_access_ends_while_the_server_lets_us_wait(
    server: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = hire()
    begin = mailing._connection

    def begin_slowly() -> Any:
        end_contract(grant)
        return begin()

    monkeypatch.setattr(mailing, "_connection", begin_slowly)
    assert invitations.send_due() == 1
    assert server.mails == []
    assert state_of() == Invitation.FAILED


def test_a_mail_that_was_just_being_sent_does_not_count_for_one_who_came_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grant = hire()

    def come_back(*_: object) -> bool:
        adapter = DjangoUsersAdapter()
        end_contract(grant)
        grant.refresh_from_db()
        adapter.revoke_access(grant)
        AccessGrant.objects.update(desired=AccessGrant.Desired.GRANTED)
        adapter.grant_access(grant)
        return True

    monkeypatch.setattr(DjangoUsersAdapter, "invite", come_back)
    next(invitations.each_due())
    assert state_of() == Invitation.PENDING


def test_a_removal_cancels_it() -> None:
    grant = hire()
    end_contract(grant)
    grant.refresh_from_db()
    DjangoUsersAdapter().revoke_access(grant)
    assert state_of() == ""


def test_an_account_that_was_deactivated_by_hand_is_sent_nothing() -> None:
    hire()
    User.objects.update(is_active=False)
    assert invitations.send_due() == 1
    assert not mail.outbox
    assert state_of() == Invitation.FAILED


# Until they log in ------------------------------------------------------------------------------


def test_a_link_that_expires_unused_is_sent_again_and_again_but_not_without_end(
    settings: Any,
) -> None:
    hire()
    for _mail in range(invitations.MAX_LINKS):
        assert invitations.send_due() == 1
        let_pass(timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT - 60))
        assert invitations.send_due() == 0
        let_pass(timedelta(seconds=61))
    assert invitations.send_due() == 0
    assert len(mail.outbox) == invitations.MAX_LINKS
    assert state_of() == Invitation.SENT


def log_in() -> None:
    User.objects.update(last_login=timezone.now())


def choose_password() -> None:
    user = account_of().user
    user.set_password("a password")
    user.save()


@pytest.mark.parametrize("sign", [log_in, choose_password])
@pytest.mark.parametrize("sent_before", [True, False])
def test_it_stops_once_they_have_logged_in(sign: Callable[[], None], sent_before: bool) -> None:
    hire()
    if sent_before:
        invitations.send_due()
    sign()
    let_pass(30 * DAY) if sign is choose_password else TrainerAccount.objects.update(
        next_invitation_at=timezone.now()
    )
    assert invitations.send_due() == 0
    assert state_of() == Invitation.LOGGED_IN
    assert len(mail.outbox) == sent_before


def test_one_who_comes_back_is_written_to_once_although_they_have_a_password() -> None:
    grant = hire()
    invitations.send_due()
    choose_password()
    log_in()
    let_pass(DAY)
    User.objects.update(last_login=timezone.now() - DAY)
    end_contract(grant)
    grant.refresh_from_db()
    adapter = DjangoUsersAdapter()
    adapter.revoke_access(grant)
    AccessGrant.objects.update(desired=AccessGrant.Desired.GRANTED)
    adapter.grant_access(grant)
    assert invitations.send_due() == 1
    assert account_of().next_invitation_at is None
    assert len(mail.outbox) == 2


def test_a_new_work_email_gets_a_link_of_its_own() -> None:
    grant = hire()
    invitations.send_due()
    grant.participant.work_email = "maria.s@opentrain.work"
    grant.participant.email_changed_at = timezone.now()
    grant.participant.save()
    DjangoUsersAdapter().grant_access(grant)
    assert invitations.send_due() == 1
    assert [message.to for message in mail.outbox] == [["maria@opentrain.work"], ["maria.s@opentrain.work"]]


# Asked for --------------------------------------------------------------------------------------


def test_one_that_is_asked_for_is_sent_at_once() -> None:
    grant = hire()
    invitations.send_due()
    choose_password()
    invitations.send_due()
    invitations.resend(grant)
    assert len(mail.outbox) == 2
    assert (state_of(), account_of().invitation_count) == (Invitation.SENT, 1)


def test_one_that_is_asked_for_and_fails_is_retried(settings: Any) -> None:
    grant = hire()
    send_by(settings, closed_port())
    with pytest.raises(MailServerError):
        invitations.resend(grant)
    assert state_of() == Invitation.FAILED
    with postbox() as box:
        send_by(settings, box.port)
        let_pass(DAY)
        assert invitations.send_due() == 1
        assert len(box.mails) == 1


def test_an_account_that_was_there_before_is_sent_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DjangoUsersAdapter, "may_adopt", lambda *_: True)
    factories.make_user("maria", email="maria@opentrain.work")
    grant = hire()
    assert invitations.send_due() == 0
    with pytest.raises(AdapterError, match="an account that they had before"):
        invitations.resend(grant)
    assert state_of() == ""
    with pytest.raises(OperationRefused):
        invitations.resend(
            factories.make_grant(
                grant.contract,
                grant.link,
                factories.make_participant(grant.contract.install),
                state=AccessGrant.State.PENDING,
            )
        )


def test_a_site_that_sends_none_has_none_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it reported that those of before are not sent."""
    hire("before")
    let_pass(DAY)
    assert CONDITIONS["mail-failing"].rows().exists()
    monkeypatch.setattr(DjangoUsersAdapter, "sends_first_login", False)
    hire("maria")
    assert state_of("maria") == ""
    assert not CONDITIONS["mail-failing"].rows().exists()
    TrainerAccount.objects.update(invitation=Invitation.SENT, invitation_sent_at=timezone.now() - 30 * DAY)
    assert not CONDITIONS["login-expired"].rows().exists()


@pytest.mark.parametrize("answer", [False, RuntimeError("at host.internal:25")])
def test_what_a_hosts_own_invite_says_holds(
    answer: bool | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def invite(*_: object) -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(DjangoUsersAdapter, "invite", invite)
    grant = hire()
    assert invitations.send_due() == 1
    code = "MAIL_REFUSED" if answer is False else "INTERNAL_ERROR"
    assert (state_of(), account_of().invitation_error_code) == (Invitation.FAILED, code)
    with pytest.raises(MailError) as caught:
        invitations.resend(grant)
    assert "internal" not in str(caught.value)


# The mail server's own errors -------------------------------------------------------------------


def test_a_goodbye_that_fails_sends_nothing_twice(server: Postbox, monkeypatch: pytest.MonkeyPatch) -> None:
    close = EmailBackend.close

    def fail(backend: EmailBackend) -> None:
        close(backend)
        raise TimeoutError

    monkeypatch.setattr(EmailBackend, "close", fail)
    hire()
    invitations.send_due()
    assert state_of() == Invitation.SENT
    assert len(server.mails) == 1


def test_a_backend_that_sends_nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", lambda *_: 0)
    hire()
    invitations.send_due()
    assert state_of() == Invitation.FAILED


@pytest.mark.skipif(django.VERSION < (6, 1), reason="there are no MAILERS")
def test_the_chosen_mailer_sends_it(server: Postbox, settings: Any) -> None:
    settings.MAILERS = {
        "default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"},
        "trainers": settings.MAILERS["default"],
    }
    settings.OPENTRAIN = {**settings.OPENTRAIN, "MAILER": "trainers"}
    hire()
    invitations.send_due()
    assert state_of() == Invitation.SENT
    (sent,) = server.mails
    assert "To: maria@opentrain.work" in sent


def test_the_server_can_be_tried_without_a_mail(settings: Any) -> None:
    with postbox() as box:
        send_by(settings, box.port)
        mailing.check_server()
        assert box.mails == []
    send_by(settings, closed_port())
    with pytest.raises(MailServerError):
        mailing.check_server()
