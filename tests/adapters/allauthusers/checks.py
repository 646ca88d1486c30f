"""The default adapter with django-allauth. ``test_allauth.py`` runs these on a site of their own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import AbstractUser, User
from django.core import mail
from django.test import Client

from django_opentrain.adapters import AdapterError
from django_opentrain.adapters.addresses import model
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.errors import AccountExists
from django_opentrain.models import TrainerAccount
from django_opentrain.services.access import invitations
from django_opentrain.testing import IdentityConformance, OpenTrain
from tests import factories
from tests.adapters.conftest import EMAIL, MakeGrant, account_of, user_of
from tests.testing.hosts import GroupAdapter
from tests.testing.test_conformance import GroupHooks

pytestmark = pytest.mark.django_db

EmailAddress = model("account.EmailAddress")
PASSWORD = "correct horse battery staple"
NEW_EMAIL = "maria.silva@opentrain.work"


def sign_up(email: str = EMAIL) -> Client:
    """A person signs up with an address; a mail to it asks for its verification."""
    browser = Client()
    browser.post("/accounts/signup/", {"email": email, "password1": PASSWORD, "password2": PASSWORD})
    return browser


def verify(browser: Client) -> None:
    """The one who reads the mail does what it asks for."""
    found = re.search(r"https?://\S+?(/accounts/confirm-email/\S+)", str(mail.outbox[-1].body))
    assert found
    browser.post(found[1])


def log_in(email: str = EMAIL, password: str = PASSWORD) -> bool:
    browser = Client()
    browser.post("/accounts/login/", {"login": email, "password": password})
    return "_auth_user_id" in browser.session


def addresses_of(user: User) -> set[tuple[str, bool, bool]]:
    return set(EmailAddress.objects.filter(user=user).values_list("email", "verified", "primary"))


def make_address(user: User, email: str, **values: bool) -> None:
    EmailAddress.objects.create(user=user, email=email, **values)


# Who is adopted -------------------------------------------------------------------------------


def test_a_stranger_who_signed_up_with_the_work_email_gets_no_access(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    """Who can't read its mail: the inbox is the trainer's."""
    sign_up(EMAIL.upper())
    stranger = User.objects.get()
    with pytest.raises(AccountExists, match=f"Account {stranger.pk} has .* consents"):
        adapter.grant_access(make_grant())
    assert not stranger.groups.exists()
    assert addresses_of(stranger) == {(EMAIL, False, True)}
    assert not log_in()


def test_the_trainers_own_account_is_adopted_once_they_have_verified_it(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    verify(sign_up())
    adapter.grant_access(make_grant(email="Maria@OpenTrain.work"))
    assert not account_of().created_by_us
    assert log_in()


def test_another_verified_address_proves_nothing(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    sign_up()
    make_address(User.objects.get(), "stranger@site.example", verified=True)
    with pytest.raises(AccountExists):
        adapter.grant_access(make_grant())


def test_an_address_with_accents_is_another_one(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    """MySQL compares without them."""
    sign_up()
    EmailAddress.objects.all().delete()
    make_address(User.objects.get(), EMAIL.replace("a", "á", 1), verified=True)
    with pytest.raises(AccountExists):
        adapter.grant_access(make_grant())


# Accounts that are made -----------------------------------------------------------------------


def first_login(user: User) -> None:
    url = DjangoUsersAdapter().set_password_url(user).removeprefix("https://annotate.example")
    browser = Client()
    page = browser.get(url, follow=True)
    browser.post(page.redirect_chain[-1][0], {"new_password1": PASSWORD, "new_password2": PASSWORD})


def test_a_new_trainer_logs_in_without_a_second_mail(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant(email="Maria@OpenTrain.work"))
    assert addresses_of(user_of()) == {(EMAIL, True, True)}
    invitations.send_due()
    first_login(user_of())
    assert log_in()
    assert [message.subject for message in mail.outbox] == ["Your access to annotate.example"]


def test_a_stranger_who_signs_up_later_has_another_account_that_stays_unverified(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    sign_up()
    assert not log_in()
    assert user_of().groups.exists()


def test_accounts_from_before_allauth_are_verified_as_well(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    EmailAddress.objects.all().delete()
    adapter.grant_access(grant)
    assert addresses_of(user_of()) == {(EMAIL, True, True)}


def test_an_address_that_staff_have_verified_is_taken(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    staff = factories.make_user("staff", email=EMAIL, is_staff=True)
    make_address(staff, EMAIL, verified=True, primary=True)
    with pytest.raises(AdapterError, match="another account has their Work Email"):
        adapter.grant_access(make_grant())
    assert list(User.objects.all()) == [staff]


def test_another_address_of_an_account_is_taken(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    other = factories.make_user("other", email="other@site.example")
    make_address(other, EMAIL, verified=True)
    with pytest.raises(AdapterError, match="another account has their Work Email"):
        adapter.grant_access(make_grant())
    assert not TrainerAccount.objects.exists()


def test_where_addresses_neednt_be_unique_it_is_not(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, settings: Any
) -> None:
    settings.ACCOUNT_UNIQUE_EMAIL = False
    make_address(factories.make_user("other"), EMAIL.upper(), verified=True)
    adapter.grant_access(make_grant())
    assert addresses_of(user_of()) == {(EMAIL, True, True)}


class Separate(DjangoUsersAdapter):
    """Trainers have accounts of their own."""

    adopt_existing_accounts = False


def test_beside_a_verified_account_none_is_made(make_grant: MakeGrant) -> None:
    verify(sign_up())
    with pytest.raises(AccountExists, match="consents"):
        Separate().grant_access(make_grant())


def test_beside_a_strangers_account_one_is_made(make_grant: MakeGrant) -> None:
    sign_up()
    Separate().grant_access(make_grant())
    assert addresses_of(user_of()) == {(EMAIL, True, True)}
    assert not log_in()


# Accounts that are replaced -------------------------------------------------------------------


class Replacing(GroupAdapter):
    """A stranger's account gives way."""

    replace_unproven_accounts = True


def logins_of(user: User) -> list[dict[str, Any]]:
    """What a client sends that is logged in: a session's cookie, and a token of either kind."""
    browser = Client()
    browser.force_login(user)
    token = model("authtoken.Token").objects.create(user=user)
    _row, knox = model("knox.AuthToken").objects.create(user)
    return [
        {"HTTP_COOKIE": browser.cookies.output(header="", sep=";").strip()},
        {"HTTP_AUTHORIZATION": f"Token {token}"},
        {"HTTP_AUTHORIZATION": f"Knox {knox}"},
    ]


def test_a_strangers_account_gives_way_with_all_its_logins(make_grant: MakeGrant) -> None:
    browser = sign_up()
    stranger = User.objects.get()
    logins = logins_of(stranger)
    assert [Client().get("/whoami/", **login).status_code for login in logins] == [200, 200, 200]
    Replacing().grant_access(make_grant())
    assert [Client().get("/whoami/", **login).status_code for login in logins] == [401, 401, 401]
    assert user_of() != stranger
    assert account_of().created_by_us
    assert not user_of().has_usable_password()
    verify(browser)
    assert not log_in()
    assert addresses_of(stranger) == set()
    invitations.send_due()
    first_login(user_of())
    assert log_in()
    assert mail.outbox[-1].subject == "Your access to annotate.example"


def test_an_account_that_is_not_believed_gives_way_with_its_verified_address(make_grant: MakeGrant) -> None:
    class Doubting(Replacing):
        def may_adopt(self, user: AbstractUser) -> bool:
            return False

    verify(sign_up())
    stranger = User.objects.get()
    Doubting().grant_access(make_grant())
    assert addresses_of(stranger) == set()
    assert addresses_of(user_of()) == {(EMAIL, True, True)}


# A new Work Email -----------------------------------------------------------------------------


def test_a_new_work_email_takes_the_place_of_the_old_one(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    first_login(user_of())
    make_address(user_of(), "maria@home.example", verified=True)
    adapter.grant_access(make_grant(email=NEW_EMAIL))
    assert addresses_of(user_of()) == {(NEW_EMAIL, True, True), ("maria@home.example", True, False)}
    assert log_in(NEW_EMAIL)
    assert not log_in(EMAIL)
    assert not mail.outbox


def test_an_address_that_the_trainer_has_added_becomes_the_primary_one(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    make_address(user_of(), NEW_EMAIL)
    adapter.grant_access(make_grant(email=NEW_EMAIL))
    assert addresses_of(user_of()) == {(NEW_EMAIL, True, True)}


def test_a_strangers_unverified_address_is_not_in_the_way(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    make_address(factories.make_user("stranger"), NEW_EMAIL)
    adapter.grant_access(make_grant(email=NEW_EMAIL))
    assert addresses_of(user_of()) == {(NEW_EMAIL, True, True)}


def test_an_address_that_another_account_has_verified_stays_theirs(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    make_address(factories.make_user("other"), NEW_EMAIL, verified=True)
    with pytest.raises(AdapterError, match="can't take the trainer's new Work Email"):
        adapter.grant_access(make_grant(email=NEW_EMAIL))
    assert user_of().email == EMAIL
    assert addresses_of(user_of()) == {(EMAIL, True, True)}


def test_an_adopted_accounts_addresses_are_its_owners(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    verify(sign_up())
    adapter.grant_access(make_grant())
    adapter.grant_access(make_grant(email=NEW_EMAIL))
    assert addresses_of(user_of()) == {(EMAIL, True, True)}


# The kit --------------------------------------------------------------------------------------


class TestWithAllauth(GroupHooks, IdentityConformance):
    """The default adapter keeps the kit's promises about accounts."""


class TestReplacing(TestWithAllauth):
    """So it does where it replaces accounts."""

    @pytest.fixture(autouse=True)
    def _replacing(self, settings: Any) -> None:
        settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Replacing"}


class Marking(GroupAdapter):
    """Spares trainers the mail, before it asks whether they have verified their address."""

    def may_adopt(self, user: AbstractUser) -> bool:
        EmailAddress.objects.filter(user=user).update(verified=True)
        return super().may_adopt(user)


def test_an_adapter_that_verifies_addresses_itself_is_found_out(opentrain: OpenTrain, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Marking"}
    opentrain.connect("acme")
    opentrain.link("1")
    with pytest.raises(AssertionError, match="proven the address"):
        TestWithAllauth().test_an_account_that_has_proven_nothing_gets_no_access(opentrain)
