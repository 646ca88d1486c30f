"""What the default adapter does to the site's users."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractUser, AnonymousUser, Group, User
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import pre_save
from django.test import RequestFactory

from django_opentrain.adapters import AdapterError, Project, get_adapter
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.errors import AccountExists
from django_opentrain.models import AccessGrant, Participant, TrainerAccount
from tests import factories
from tests.adapters.conftest import EMAIL, TRAINER, MakeGrant, account_of, revoke, user_of

pytestmark = pytest.mark.django_db


def groups_of(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


# Tenants and projects -------------------------------------------------------------------------


def test_it_is_the_default() -> None:
    assert type(get_adapter()) is DjangoUsersAdapter


def test_each_user_is_a_customer_of_their_own(adapter: DjangoUsersAdapter, rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = factories.make_user()
    assert adapter.get_tenant(request) == str(request.user.pk)
    assert adapter.can_manage(request, str(request.user.pk))
    assert not adapter.can_manage(request, str(factories.make_user().pk))


def test_an_account_that_was_made_for_a_trainer_is_no_customer(
    adapter: DjangoUsersAdapter, rf: RequestFactory
) -> None:
    """They could connect an organization of their own, and hire for each project that the adapter lists."""
    request = rf.get("/")
    request.user = factories.make_user()
    account = factories.make_trainer_account(request.user, created_by_us=True)
    assert not adapter.can_manage(request, str(request.user.pk))
    TrainerAccount.objects.filter(pk=account.pk).update(created_by_us=False)
    assert adapter.can_manage(request, str(request.user.pk))


@pytest.mark.parametrize("made_by", ["package", "site"])
def test_an_accounts_texts_are_shown_as_they_are(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch, made_by: str
) -> None:
    """A Work Email is masked in our error reports; the account is the site's, and so are its tests' messages."""
    shown: list[str] = []

    def show(sender: object, instance: User, **_: Any) -> None:
        shown.extend(map(repr, (instance.email, instance.username)))

    monkeypatch.setattr(adapter, "prepare_user", lambda user, grant: show(None, user))
    if made_by == "site":
        monkeypatch.setattr(adapter, "create_user", lambda email, _trainer: User(username=email, email=email))
    pre_save.connect(show, User)
    try:
        adapter.grant_access(make_grant())
    finally:
        pre_save.disconnect(show, User)
    assert shown == [f"'{EMAIL}'"] * 4


def test_nobody_is_nobodys_customer(adapter: DjangoUsersAdapter, rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    assert adapter.get_tenant(request) is None
    assert not adapter.can_manage(request, "None")


def test_a_site_has_to_say_which_projects_it_has(adapter: DjangoUsersAdapter) -> None:
    with pytest.raises(ImproperlyConfigured, match="subclass of DjangoUsersAdapter"):
        adapter.list_projects("acme")
    with pytest.raises(ImproperlyConfigured, match="get_project"):
        adapter.get_project("acme", "1")


# Giving access --------------------------------------------------------------------------------


def test_an_account_is_made_for_a_new_trainer(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    reference = adapter.grant_access(make_grant("acme", "7"))
    user = user_of()
    assert reference == str(user.pk)
    assert (user.username, user.email, user.is_active) == (EMAIL, EMAIL, True)
    assert not user.has_usable_password()
    assert not user.is_staff
    assert not user.is_superuser
    assert groups_of(user) == {"opentrain:acme:7"}
    assert account_of().created_by_us


def test_giving_again_changes_nothing(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant()
    first = adapter.grant_access(grant)
    assert adapter.grant_access(grant) == first
    assert User.objects.count() == 1
    assert len(groups_of(user_of())) == 1


def test_all_customers_see_the_same_account(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    adapter.grant_access(make_grant("acme", "1"))
    adapter.grant_access(make_grant("zeta", "1"))
    assert groups_of(user_of()) == {"opentrain:acme:1", "opentrain:zeta:1"}


@pytest.mark.parametrize("email", [None, ""])
def test_without_a_work_email_nothing_is_made(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, email: str | None
) -> None:
    with pytest.raises(AdapterError, match="Work Email"):
        adapter.grant_access(make_grant(email=email))
    assert not User.objects.exists()


# Adopting -------------------------------------------------------------------------------------


class Verifying(DjangoUsersAdapter):
    """A site that verifies its users' addresses in a way of its own."""

    def may_adopt(self, user: AbstractUser) -> bool:
        return user.last_name == "verified"


def test_a_stranger_who_signed_up_with_the_work_email_gets_no_access(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    """Other customers know the address. Nothing in Django's user model says that it was verified."""
    stranger = User.objects.create_user("stranger", email=EMAIL, password="the stranger's")
    with pytest.raises(AccountExists, match=f"Account {stranger.pk} has .* consents") as caught:
        adapter.grant_access(make_grant())
    assert EMAIL not in str(caught.value)
    assert groups_of(stranger) == set()
    assert list(User.objects.all()) == [stranger]
    assert not TrainerAccount.objects.exists()


def test_an_account_that_has_proven_its_address_is_adopted(make_grant: MakeGrant) -> None:
    known = factories.make_user("maria", email="Maria@OpenTrain.work", last_name="verified")
    known.set_password("her own")
    known.save()
    Verifying().grant_access(make_grant())
    assert user_of() == known
    assert not account_of().created_by_us
    assert authenticate(username="maria", password="her own") == known


def test_of_several_accounts_the_proven_one_is_adopted(make_grant: MakeGrant) -> None:
    factories.make_user("stranger", email=EMAIL)
    known = factories.make_user("maria", email=EMAIL, last_name="verified")
    Verifying().grant_access(make_grant())
    assert user_of() == known


class Replacing(Verifying):
    """A stranger's account gives way."""

    replace_unproven_accounts = True


def test_a_strangers_accounts_give_way(make_grant: MakeGrant, caplog: pytest.LogCaptureFixture) -> None:
    """The trainer's is a new one: nothing that opens the stranger's opens it."""
    group = Group.objects.create(name="the stranger's")
    named = User.objects.create_user(EMAIL, email=EMAIL.upper(), password="the stranger's")
    named.groups.add(group)
    other = User.objects.create_user("other", email=EMAIL, password="the stranger's")
    with caplog.at_level(logging.INFO):
        Replacing().grant_access(make_grant())
    maria = user_of()
    assert maria not in (named, other)
    assert (maria.username, maria.email, maria.has_usable_password()) == (EMAIL, EMAIL, False)
    assert (account_of().created_by_us, account_of().invitation) == (True, "PENDING")
    for stranger in (named, other):
        stranger.refresh_from_db()
        assert not stranger.is_active
        assert stranger.email.endswith("@replaced.invalid")
        assert f"Account {stranger.pk} gave way" in caplog.text
    assert (named.username, other.username) == (named.email.partition("@")[0], "other")
    assert list(named.groups.all()) == [group]
    assert EMAIL not in caplog.text.lower()


def test_a_proven_account_does_not_give_way(make_grant: MakeGrant) -> None:
    known = factories.make_user("maria", email=EMAIL, last_name="verified")
    Replacing().grant_access(make_grant())
    assert user_of() == known


def test_an_account_gives_way_only_if_the_trainer_gets_one(
    make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(_self: object, user: User, **_: Any) -> None:
        user.first_name = None  # type: ignore[assignment] # what a required column is by default

    monkeypatch.setattr(Replacing, "prepare_user", forget)
    stranger = factories.make_user("stranger", email=EMAIL)
    with pytest.raises(AdapterError, match="requires more"):
        Replacing().grant_access(make_grant())
    stranger.refresh_from_db()
    assert (stranger.is_active, stranger.email) == (True, EMAIL)


@pytest.mark.parametrize("right", ["is_staff", "is_superuser"])
def test_a_privileged_account_is_never_adopted(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, right: str
) -> None:
    privileged = factories.make_user(EMAIL, email=EMAIL, **{right: True})
    adapter.grant_access(make_grant())
    assert user_of() != privileged
    assert groups_of(privileged) == set()
    assert user_of().username.startswith(f"{EMAIL}-")


def test_another_trainers_account_is_never_adopted(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant(trainer="usr_other"))
    adapter.grant_access(make_grant())
    assert user_of() != user_of("usr_other")


def test_adopting_can_be_turned_off(make_grant: MakeGrant) -> None:
    class Careful(DjangoUsersAdapter):
        adopt_existing_accounts = False

    known = factories.make_user("maria", email=EMAIL)
    Careful().grant_access(make_grant())
    assert user_of() != known


def test_another_accent_is_another_person(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    """MySQL compares without accents: a user who registered like this would get the trainer's access."""
    waiting = factories.make_user("waiting", email=EMAIL.replace("a", "á", 1))
    adapter.grant_access(make_grant())
    assert user_of() != waiting


@pytest.mark.parametrize("proof", ["", "verified"])
def test_two_candidates_are_for_a_person_to_decide(make_grant: MakeGrant, proof: str) -> None:
    candidates = [
        factories.make_user(email=EMAIL, last_name=proof),
        factories.make_user(email=EMAIL.upper(), last_name=proof),
    ]
    with pytest.raises(AdapterError, match="Several accounts") as caught:
        Verifying().grant_access(make_grant())
    assert all(str(user.pk) in str(caught.value) for user in candidates)
    assert EMAIL not in str(caught.value).lower()
    assert not TrainerAccount.objects.exists()


def test_a_deactivated_account_is_not_got_around(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    banned = factories.make_user(email=EMAIL, is_active=False)
    with pytest.raises(AdapterError, match=f"Account {banned.pk} .* was deactivated"):
        adapter.grant_access(make_grant())
    assert list(User.objects.all()) == [banned]


def test_an_active_account_is_preferred_to_a_deactivated_one(make_grant: MakeGrant) -> None:
    factories.make_user(email=EMAIL, is_active=False, last_name="verified")
    known = factories.make_user(email=EMAIL, last_name="verified")
    Verifying().grant_access(make_grant())
    assert user_of() == known


# Usernames ------------------------------------------------------------------------------------


def test_a_taken_username_gets_a_suffix(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    squatter = factories.make_user(EMAIL.upper(), email="someone@site.example")
    adapter.grant_access(make_grant())
    assert user_of() != squatter
    assert user_of().username.startswith(f"{EMAIL}-")
    assert user_of().email == EMAIL


def test_a_long_work_email_is_cut_in_the_username_only(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    email = "m" * 180 + "@opentrain.work"
    adapter.grant_access(make_grant(email=email))
    assert len(user_of().username) == 150
    assert user_of().email == email


# A new Work Email -----------------------------------------------------------------------------


def test_an_account_that_was_made_follows_the_work_email(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    adapter.grant_access(make_grant(email="maria.silva@opentrain.work"))
    assert (user_of().username, user_of().email) == ("maria.silva@opentrain.work",) * 2
    assert User.objects.count() == 1


def test_the_newest_work_email_is_followed_whoever_told_it(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    """Two customers know the trainer, and one has heard of the new e-mail: both are asserted each hour."""
    old, new = make_grant("acme"), make_grant("zeta", email="new@opentrain.work")
    never = make_grant("beta", email="older@opentrain.work")
    for grant, moment in ((old, 1), (new, 2)):
        grant.participant.email_changed_at = datetime(2026, 11, moment, tzinfo=timezone.utc)
        grant.participant.save()
    adapter.grant_access(old)
    adapter.grant_access(new)
    assert user_of().email == "new@opentrain.work"
    for grant in (old, never):
        adapter.grant_access(grant)
        assert user_of().email == "new@opentrain.work"


def test_another_trainers_newer_work_email_is_no_news(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    newer = make_grant(trainer="usr_ken", email="ken@opentrain.work").participant
    newer.email_changed_at = datetime(2026, 11, 2, tzinfo=timezone.utc)
    newer.save()
    adapter.grant_access(make_grant(email="new@opentrain.work"))
    assert user_of().email == "new@opentrain.work"


def test_a_chosen_username_stays(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    adapter.grant_access(make_grant())
    User.objects.update(username="maria")
    adapter.grant_access(make_grant(email="new@opentrain.work"))
    assert (user_of().username, user_of().email) == ("maria", "new@opentrain.work")


def test_another_case_of_the_email_leaves_the_username(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    adapter.grant_access(make_grant(email=EMAIL.upper()))
    assert (user_of().username, user_of().email) == (EMAIL, EMAIL.upper())


def test_an_adopted_account_keeps_its_email(make_grant: MakeGrant) -> None:
    adapter = Verifying()
    factories.make_user("maria", email=EMAIL, last_name="verified")
    adapter.grant_access(make_grant())
    adapter.grant_access(make_grant(email="new@opentrain.work"))
    assert user_of().email == EMAIL


# Removing access ------------------------------------------------------------------------------


def test_a_project_goes_and_the_others_stay(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    first, second = make_grant("acme", "1"), make_grant("acme", "2")
    adapter.grant_access(first)
    adapter.grant_access(second)
    revoke(adapter, first)
    assert groups_of(user_of()) == {"opentrain:acme:2"}
    assert user_of().is_active


def test_the_account_goes_with_the_last_grant(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grants = [make_grant("acme", "1"), make_grant("zeta", "2")]
    for grant in grants:
        adapter.grant_access(grant)
    for grant in grants:
        assert user_of().is_active
        revoke(adapter, grant)
    assert not user_of().is_active
    assert groups_of(user_of()) == set()
    assert account_of().deactivated_at is not None


def test_removing_again_changes_nothing(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    revoke(adapter, grant)
    before = account_of().deactivated_at
    revoke(adapter, grant)
    assert account_of().deactivated_at == before
    assert User.objects.count() == 1


def test_nobody_elses_access_keeps_a_trainer_in(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    marias, kens = make_grant(), make_grant(trainer="usr_ken", email="ken@opentrain.work")
    for grant in (marias, kens):
        adapter.grant_access(grant)
    revoke(adapter, marias)
    assert (groups_of(user_of()), user_of().is_active) == (set(), False)
    assert (groups_of(user_of("usr_ken")), user_of("usr_ken").is_active) == ({"opentrain:acme:1"}, True)


def test_the_same_project_id_of_another_customer_is_another_project(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    gone, stays = make_grant("acme", "1"), make_grant("zeta", "1")
    for grant in (gone, stays):
        adapter.grant_access(grant)
    revoke(adapter, gone)
    assert (groups_of(user_of()), user_of().is_active) == ({"opentrain:zeta:1"}, True)


def test_removing_before_giving_is_nothing(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    revoke(adapter, make_grant())
    assert not User.objects.exists()


class Seats(DjangoUsersAdapter):
    """A host whose projects have numbers across all customers: project 1 is acme's."""

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        return Project(id="1") if (tenant, external_project_id) == ("acme", "1") else None

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        user.groups.add(self.project_group("", str(int(grant.external_project_id))))

    def close_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        user.groups.remove(self.project_group("", str(int(grant.external_project_id))))


@pytest.mark.parametrize("project", ["1", "no number"])
def test_nobody_is_shut_out_of_what_they_were_never_let_into(make_grant: MakeGrant, project: str) -> None:
    """A link can be made on OpenTrain, with another customer's project id in it, or with anything else."""
    given, refused = make_grant("acme", "1"), make_grant("zeta", project, host_user_ref="")
    Seats().grant_access(given)
    revoke(Seats(), refused)
    assert groups_of(user_of()) == {"opentrain::1"}


def test_the_account_goes_also_when_the_last_grant_was_never_given(make_grant: MakeGrant) -> None:
    given, refused = make_grant("acme", "1"), make_grant("zeta", "no number", host_user_ref="")
    Seats().grant_access(given)
    revoke(Seats(), given)
    assert user_of().is_active
    revoke(Seats(), refused)
    assert not user_of().is_active


def test_the_same_access_by_two_contracts_goes_with_the_second(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grants = [make_grant("acme", "1"), make_grant("acme", "1")]
    for grant in grants:
        adapter.grant_access(grant)
    revoke(adapter, grants[0])
    assert groups_of(user_of()) == {"opentrain:acme:1"}
    revoke(adapter, grants[1])
    assert groups_of(user_of()) == set()


def test_a_grant_that_waits_keeps_the_account(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant("acme", "1")
    make_grant("acme", "2", state="PENDING")
    adapter.grant_access(grant)
    revoke(adapter, grant)
    assert user_of().is_active


def test_an_adopted_account_stays_active(make_grant: MakeGrant) -> None:
    adapter = Verifying()
    factories.make_user("maria", email=EMAIL, last_name="verified")
    grant = make_grant()
    adapter.grant_access(grant)
    revoke(adapter, grant)
    assert user_of().is_active
    assert groups_of(user_of()) == set()


def test_an_account_that_got_rights_since_stays_active(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    User.objects.update(is_staff=True)
    revoke(adapter, grant)
    assert user_of().is_active
    assert groups_of(user_of()) == set()


# Coming back ----------------------------------------------------------------------------------


def test_a_trainer_who_comes_back_gets_the_old_account(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    reference = adapter.grant_access(grant)
    revoke(adapter, grant)
    assert adapter.grant_access(make_grant("zeta", "9")) == reference
    assert user_of().is_active
    assert account_of().deactivated_at is None
    assert groups_of(user_of()) == {"opentrain:zeta:9"}


def test_a_deactivation_by_somebody_else_stands(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    adapter.grant_access(make_grant())
    User.objects.update(is_active=False)
    with pytest.raises(AdapterError, match="was deactivated on this site"):
        adapter.grant_access(make_grant("acme", "2"))
    assert not user_of().is_active


def test_it_stands_also_after_the_last_grant_went(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    User.objects.update(is_active=False)
    revoke(adapter, grant)
    with pytest.raises(AdapterError, match="was deactivated on this site"):
        adapter.grant_access(make_grant())


def test_an_account_that_was_activated_by_hand_is_taken_as_it_is(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    revoke(adapter, grant)
    User.objects.update(is_active=True)
    adapter.grant_access(make_grant())
    assert account_of().deactivated_at is None


def test_the_trainers_id_decides_and_not_the_email(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    adapter.grant_access(make_grant())
    factories.make_user("impostor", email="new@opentrain.work")
    adapter.grant_access(make_grant(email="new@opentrain.work", trainer=TRAINER))
    assert user_of().username != "impostor"


def fail_to_save(sender: type[User], instance: User, **_: Any) -> None:
    if not instance.is_active:
        raise RuntimeError("the directory says no, at ldap.internal")


def test_a_project_is_closed_although_the_account_can_not_be_deactivated(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    pre_save.connect(fail_to_save, sender=User)
    try:
        with pytest.raises(
            AdapterError, match=r"is closed.*could not be deactivated \(RuntimeError\)"
        ) as caught:
            revoke(adapter, grant)
    finally:
        pre_save.disconnect(fail_to_save, sender=User)
    assert "internal" not in str(caught.value)
    assert groups_of(user_of()) == set()
    assert user_of().is_active
    adapter.revoke_access(grant)
    assert not user_of().is_active


def test_an_account_is_deactivated_although_its_project_can_not_be_closed(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = make_grant()
    adapter.grant_access(grant)

    def fail(*_: object) -> None:
        raise RuntimeError("the project service is down")

    monkeypatch.setattr(adapter, "close_project", fail)
    with pytest.raises(RuntimeError):
        revoke(adapter, grant)
    assert not user_of().is_active


# Removals by hand -----------------------------------------------------------------------------


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def leave_the_group(user: User) -> None:
    user.groups.clear()


def delete(user: User) -> None:
    user.delete()


@pytest.mark.parametrize("by_hand", [deactivate, leave_the_group, delete])
def test_a_removal_by_hand_is_seen(
    by_hand: Callable[[User], None], adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    assert adapter.has_access(grant) is True
    by_hand(user_of())
    assert adapter.has_access(grant) is False


def test_the_group_of_another_project_is_none(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant, other = make_grant(project="1"), make_grant(project="2")
    adapter.grant_access(grant)
    adapter.grant_access(other)
    user_of().groups.get(name="opentrain:acme:2").delete()
    assert (adapter.has_access(grant), adapter.has_access(other)) == (True, False)


def test_a_deactivation_of_ours_is_none_by_hand(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    revoke(adapter, grant)
    assert adapter.has_access(grant) is None


class UnseenSeats(DjangoUsersAdapter):
    """Access is no group, and it is not said how to see it."""

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        pass


class Tickets(DjangoUsersAdapter):
    """It has a way of its own throughout."""

    def grant_access(self, grant: AccessGrant) -> str:
        return "ticket 7"


class NamedGroups(DjangoUsersAdapter):
    """The groups have names of their own."""

    def project_group(self, tenant: str, external_project_id: str) -> Group:
        return Group.objects.get_or_create(name=f"project {external_project_id}")[0]


@pytest.mark.parametrize("own", [UnseenSeats, Tickets, NamedGroups])
def test_where_access_is_seen_otherwise_nothing_is_said(
    own: type[DjangoUsersAdapter], make_grant: MakeGrant
) -> None:
    grant = make_grant()
    own().grant_access(grant)
    assert own().has_access(grant) is None


class SeenSeats(UnseenSeats):
    """The same, and it is said."""

    def has_project(self, user: AbstractUser, grant: AccessGrant) -> bool:
        return user.email == EMAIL


def test_where_it_is_said_how_to_see_access_that_counts(make_grant: MakeGrant) -> None:
    grant = make_grant()
    SeenSeats().grant_access(grant)
    assert SeenSeats().has_access(grant) is True
    User.objects.update(email="")
    assert SeenSeats().has_access(grant) is False


def test_new_accounts_are_active_whatever_the_models_default(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(User._meta.get_field("is_active"), "_get_default", lambda: False)
    assert not User().is_active
    adapter.grant_access(make_grant())
    assert user_of().is_active


def test_what_the_user_model_requires_is_named(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(user: User, **_: Any) -> None:
        user.first_name = None  # type: ignore[assignment] # what a required column is by default

    monkeypatch.setattr(adapter, "prepare_user", forget)
    with pytest.raises(AdapterError, match="requires more than an e-mail address"):
        adapter.grant_access(make_grant())


# Hooks ----------------------------------------------------------------------------------------


class Hooked(DjangoUsersAdapter):
    """Makes accounts in the site's own way."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def create_user(self, email: str, participant: Participant) -> AbstractUser:
        self.calls.append("create_user")
        return User.objects.create_user(f"trainer-{participant.opentrain_user_id}", email, password=None)

    def prepare_user(self, user: AbstractUser, grant: AccessGrant) -> None:
        self.calls.append("prepare_user")
        user.first_name = grant.tenant

    def populate_user(self, user: AbstractUser, participant: Participant) -> None:
        self.calls.append("populate_user")
        user.last_name = participant.display_name
        user.save(update_fields=["last_name"])

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        self.calls.append("open_project")
        super().open_project(user, grant)


def test_accounts_are_made_and_kept_up_to_date_as_the_site_wants(make_grant: MakeGrant) -> None:
    grant, adapter = make_grant("acme"), Hooked()
    adapter.grant_access(grant)
    assert adapter.calls == ["create_user", "prepare_user", "populate_user", "open_project"]
    user = user_of()
    assert (user.username, user.email, user.first_name, user.last_name) == (
        f"trainer-{TRAINER}",
        EMAIL,
        "acme",
        grant.participant.display_name,
    )
    assert account_of().created_by_us
    assert account_of().invitation == TrainerAccount.Invitation.PENDING
    grant.participant.display_name = "Maria Silva"
    adapter.calls.clear()
    adapter.grant_access(grant)
    assert adapter.calls == ["populate_user", "open_project"]
    assert user_of().last_name == "Maria Silva"


def test_an_account_that_was_there_before_is_its_owners(
    make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, adapter = factories.make_user("maria", email=EMAIL), Hooked()
    monkeypatch.setattr(adapter, "may_adopt", lambda user: user == known)
    adapter.grant_access(make_grant())
    assert user_of() == known
    assert adapter.calls == ["open_project"]


@pytest.mark.parametrize(
    "known",
    [{"email": EMAIL}, {"email": EMAIL.upper()}, {"username": EMAIL, "email": "stranger@site.example"}],
)
def test_a_new_account_is_none_that_was_there_before(
    make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch, known: dict[str, str]
) -> None:
    """A site whose hook looks for an account first: anyone who knows the address can have made it."""
    stranger, adapter = factories.make_user(**known), Hooked()
    monkeypatch.setattr(adapter, "adopt_existing_accounts", False)
    monkeypatch.setattr(adapter, "create_user", lambda *_args: User.objects.get(pk=stranger.pk))
    with pytest.raises(AdapterError, match="was there before"):
        adapter.grant_access(make_grant())
    assert not TrainerAccount.objects.exists()
    assert not groups_of(stranger)


def test_what_the_sites_hook_made_is_undone_with_the_rest(
    make_grant: MakeGrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any) -> None:
        raise RuntimeError

    adapter = Hooked()
    monkeypatch.setattr(adapter, "populate_user", fail)
    with pytest.raises(RuntimeError):
        adapter.grant_access(make_grant())
    assert not User.objects.exists()
    assert not TrainerAccount.objects.exists()


# Other user models ----------------------------------------------------------------------------


@pytest.mark.slow
def test_users_without_usernames() -> None:
    """A user model can't be swapped within a process: the checks are in ``emailusers.py``."""
    run("tests.adapters.emailusers")


@pytest.mark.slow
def test_users_that_can_not_be_deactivated() -> None:
    """The checks are in ``bareusers``."""
    run("tests.adapters.bareusers")


def run(module: str) -> None:
    command = [sys.executable, "-W", "error", "-m", module]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "as it should be" in done.stdout


# Paused work ----------------------------------------------------------------------------------


def test_a_pause_closes_the_project_and_leaves_the_account(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    """It needs no new password when the contract is funded again."""
    grant = make_grant("acme", "7")
    AccessGrant.objects.update(host_user_ref=adapter.grant_access(grant), desired=AccessGrant.Desired.PAUSED)
    requested = account_of().invitation_requested_at
    grant.refresh_from_db()
    adapter.revoke_access(grant)
    assert (groups_of(user_of()), user_of().is_active, account_of().deactivated_at) == (set(), True, None)
    AccessGrant.objects.update(desired=AccessGrant.Desired.GRANTED)
    adapter.grant_access(grant)
    assert groups_of(user_of()) == {"opentrain:acme:7"}
    assert account_of().invitation_requested_at == requested
    AccessGrant.objects.update(desired=AccessGrant.Desired.REVOKED)
    grant.refresh_from_db()
    adapter.revoke_access(grant)
    assert not user_of().is_active


def test_a_paused_grant_keeps_the_account_when_another_one_ends(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    ended, paused = make_grant("acme", "7"), make_grant("acme", "8")
    for grant in (ended, paused):
        AccessGrant.objects.filter(pk=grant.pk).update(host_user_ref=adapter.grant_access(grant))
    AccessGrant.objects.filter(pk=paused.pk).update(desired=AccessGrant.Desired.PAUSED)
    AccessGrant.objects.filter(pk=ended.pk).update(desired=AccessGrant.Desired.REVOKED)
    for grant in (ended, paused):
        grant.refresh_from_db()
        adapter.revoke_access(grant)
    assert (groups_of(user_of()), user_of().is_active) == (set(), True)


# For many trainers at once --------------------------------------------------------------------


def test_who_has_access_is_said_for_all_at_once(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    inside, out, deactivated, deleted, stranger = (
        make_grant(trainer=f"usr_{name}", email=f"{name}@opentrain.work") for name in "abcde"
    )
    for grant in (inside, out, deactivated, deleted):
        grant.host_user_ref = adapter.grant_access(grant)
    leave_the_group(User.objects.get(pk=out.host_user_ref))
    deactivate(User.objects.get(pk=deactivated.host_user_ref))
    delete(User.objects.get(pk=deleted.host_user_ref))
    grants = [inside, out, deactivated, deleted, stranger]
    assert adapter.access_states(grants) == {grant.pk: grant is inside for grant in grants}


def test_each_project_is_said_for_itself(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    one, two, theirs = (
        make_grant(project="1"),
        make_grant(project="2"),
        make_grant(tenant="globex", project="1"),
    )
    adapter.grant_access(one)
    adapter.grant_access(theirs)
    states = adapter.access_states([one, two, theirs])
    assert states == {one.pk: True, two.pk: False, theirs.pk: True}


def test_access_that_was_removed_is_said_to_be(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grant = make_grant()
    adapter.grant_access(grant)
    revoke(adapter, grant)
    grant.refresh_from_db()
    assert adapter.access_states([grant]) == {grant.pk: False}


def test_an_account_without_grants_that_was_activated_again_is_left_out(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    """So that the removal is asserted, and deactivates it again."""
    grant = make_grant()
    adapter.grant_access(grant)
    revoke(adapter, grant)
    grant.refresh_from_db()
    User.objects.update(is_active=True)
    assert adapter.access_states([grant]) == {}
    other = make_grant(project="2")
    adapter.grant_access(other)
    assert adapter.access_states([grant, other]) == {grant.pk: False, other.pk: True}


@pytest.mark.parametrize("count", [2, 20])
def test_it_costs_two_queries_for_all(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        adapter.grant_access(make_grant(trainer=f"usr_{number}", email=f"{number}@opentrain.work"))
    grants = list(AccessGrant.objects.select_related("participant", "link__install"))
    with django_assert_num_queries(2):
        assert set(adapter.access_states(grants).values()) == {True}


class LoggedGrants(DjangoUsersAdapter):
    """The groups are as they were."""

    def grant_access(self, grant: AccessGrant) -> str:
        return super().grant_access(grant)


class OwnQuestion(DjangoUsersAdapter):
    """It knows better who has access."""

    def has_access(self, grant: AccessGrant) -> bool | None:
        return True


@pytest.mark.parametrize("own", [UnseenSeats, SeenSeats, Tickets, NamedGroups, LoggedGrants, OwnQuestion])
def test_a_subclass_with_a_way_of_its_own_says_nothing_of_all(
    own: type[DjangoUsersAdapter], make_grant: MakeGrant
) -> None:
    grant = make_grant()
    own().grant_access(grant)
    assert own().access_states([grant]) == {}


class AllSeats(SeenSeats):
    """The same, and it is said for all at once."""

    def has_projects(self, users: Sequence[tuple[AbstractUser, AccessGrant]]) -> Mapping[int, bool | None]:
        return {grant.pk: self.has_project(user, grant) for user, grant in users}


def test_where_it_is_said_for_all_that_counts(make_grant: MakeGrant) -> None:
    grant = make_grant()
    AllSeats().grant_access(grant)
    assert AllSeats().access_states([grant]) == {grant.pk: True}
    User.objects.update(email="")
    assert AllSeats().access_states([grant]) == {grant.pk: False}
