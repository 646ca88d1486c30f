"""A trainer uses an account that they had before, because an operator consents."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from django_opentrain.adapters import AdapterError
from django_opentrain.errors import AccountExists, OperationRefused
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.services.access import bindings
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.played import a_customer
from tests.testing.hosts import GroupAdapter

pytestmark = pytest.mark.django_db

State = AccessGrant.State
EMAIL = "maria.s@opentrain.work"


class CarefulAdapter(GroupAdapter):
    """Without consent, no account becomes a trainer's, and no second one is made beside it."""

    adopt_existing_accounts = False

    def prepare_user(self, user: Any, grant: AccessGrant) -> None:
        if User.objects.filter(email__iexact=user.email).exists():
            raise AccountExists("There is one already.")


class LettingAdapter(CarefulAdapter):
    """Customers decide."""

    def may_bind(self, tenant: str, user: Any) -> bool:
        return True


@pytest.fixture
def known() -> User:
    """An account of the site that has the Work Email, in other letters."""
    return factories.make_user("maria", email=EMAIL.upper())


@pytest.fixture
def maria(known: User, opentrain: OpenTrain, settings: Any) -> Hire:
    """A trainer who waits for consent."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.CarefulAdapter"}
    a_customer(opentrain)
    opentrain.link("1")
    hire = opentrain.hire("Maria S.", work_email=EMAIL)
    opentrain.run()
    assert hire.grant.state == State.FAILED
    return hire


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("opentrain_bind", *arguments, stdout=out)
    return out.getvalue()


def test_the_account_is_theirs_and_stays_active_at_the_end(
    opentrain: OpenTrain, maria: Hire, known: User
) -> None:
    bindings.bind(maria.grant, "operator ann")
    opentrain.run()
    assert (maria.grant.state, maria.grant.host_user_ref) == (State.GRANTED, str(known.pk))
    assert not TrainerAccount.objects.get().created_by_us
    assert TrainerAccount.objects.get().invitation == ""
    opentrain.end(maria)
    opentrain.run()
    known.refresh_from_db()
    assert (maria.grant.state, known.is_active, known.groups.count()) == (State.REVOKED, True, 0)
    assert known.email == EMAIL.upper()


def test_the_command_does_it(opentrain: OpenTrain, maria: Hire, known: User) -> None:
    assert "is the trainer's now" in command("--grant", str(maria.grant.pk))
    opentrain.run()
    assert maria.grant.host_user_ref == str(known.pk)
    with pytest.raises(CommandError, match="has an account already"):
        command("--grant", str(maria.grant.pk))
    with pytest.raises(CommandError, match="no access grant"):
        command("--grant", "999")


@pytest.mark.parametrize("privilege", ["is_staff", "is_superuser"])
def test_a_privileged_account_never_is(maria: Hire, known: User, privilege: str) -> None:
    User.objects.filter(pk=known.pk).update(**{privilege: True})
    with pytest.raises(AdapterError, match="never one of staff"):
        bindings.bind(maria.grant, "operator ann")
    assert not TrainerAccount.objects.exists()


def test_another_trainers_account_never_is(maria: Hire, known: User) -> None:
    TrainerAccount.objects.create(opentrain_user_id="usr_other", user=known)
    with pytest.raises(AdapterError, match="No account that may become"):
        bindings.bind(maria.grant, "operator ann")


@pytest.mark.parametrize("gone", [{"desired": "REVOKED"}, {}])
def test_where_no_work_email_gives_access_nothing_is_bound(
    maria: Hire, gone: dict[str, str], settings: Any
) -> None:
    AccessGrant.objects.update(**{"cause": "operator", **gone})
    if not gone:
        settings.OPENTRAIN = {**settings.OPENTRAIN, "WORK_EMAIL_DOMAINS": ["elsewhere.example"]}
    with pytest.raises(OperationRefused, match="no Work Email that gives access"):
        bindings.bind(maria.grant, "operator ann")
    assert not TrainerAccount.objects.exists()


def test_where_the_adapter_cant_that_is_said(maria: Hire, settings: Any) -> None:
    settings.OPENTRAIN = {
        **settings.OPENTRAIN,
        "ADAPTER": "tests.services.conftest.RecordingAdapter",
    }
    with pytest.raises(AdapterError, match="This site's adapter doesn't"):
        bindings.bind(maria.grant, "operator ann")


# By a customer's consent ----------------------------------------------------------------------


@pytest.fixture
def letting(maria: Hire, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.LettingAdapter"}


@pytest.mark.long
@pytest.mark.usefixtures("letting")
def test_a_customer_consents_for_themselves_alone(opentrain: OpenTrain, maria: Hire, known: User) -> None:
    """Or they could choose an account, whose password they know, for another customer's trainer."""
    assert bindings.find_candidate(maria.grant) == bindings.Candidate(
        account_id=str(known.pk), email="m•••@opentrain.work", may_consent=True
    )
    bindings.bind_for_customer(maria.grant, 7, str(known.pk))
    opentrain.run()
    account = TrainerAccount.objects.get()
    assert (maria.grant.state, maria.grant.host_user_ref) == (State.GRANTED, str(known.pk))
    assert (account.consented_by, account.bound_for) == ("customer acme, user 7", "acme")
    assert account.consented_at is not None
    second = elsewhere(opentrain, maria)
    assert (second.state, second.last_error_code) == (State.FAILED, "ACCOUNT_EXISTS")
    assert not known.groups.filter(name__contains="globex").exists()
    with pytest.raises(AdapterError, match="has an account already"):
        bindings.bind_for_customer(second, 8)
    bindings.bind(second, "operator ann")
    opentrain.run()
    second.refresh_from_db()
    account.refresh_from_db()
    assert (second.state, second.host_user_ref) == (State.GRANTED, str(known.pk))
    assert (account.consented_by, account.bound_for) == ("operator ann", "")


def elsewhere(opentrain: OpenTrain, maria: Hire) -> AccessGrant:
    """The same trainer's access for another customer."""
    opentrain.connect("globex")
    opentrain.link("3")
    opentrain.hire(again=maria)
    opentrain.run()
    return AccessGrant.objects.select_related("participant").get(link__install__tenant="globex")


def test_where_customers_dont_decide_they_cant(maria: Hire) -> None:
    assert not bindings.find_candidate(maria.grant).may_consent
    with pytest.raises(OperationRefused, match="Only an administrator"):
        bindings.bind_for_customer(maria.grant, 7)
    assert not TrainerAccount.objects.exists()


@pytest.mark.usefixtures("letting")
def test_what_was_seen_is_what_is_bound(maria: Hire, known: User) -> None:
    with pytest.raises(OperationRefused, match="Another account"):
        bindings.bind_for_customer(maria.grant, 7, "999")
    factories.make_user("second", email=EMAIL, is_staff=True)
    with pytest.raises(AdapterError, match="Several accounts"):
        bindings.bind_for_customer(maria.grant, 7, str(known.pk))
    assert not TrainerAccount.objects.exists()


@pytest.mark.usefixtures("letting")
@pytest.mark.parametrize(
    "change", [{"state": "PENDING"}, {"desired": "REVOKED"}, {"last_error_code": "NOTE"}]
)
def test_only_access_that_waits_for_it(maria: Hire, change: dict[str, str]) -> None:
    AccessGrant.objects.update(**{"cause": "operator", **change})
    for ask in (bindings.find_candidate, lambda grant: bindings.bind_for_customer(grant, 7)):
        with pytest.raises(OperationRefused, match="doesn't wait"):
            ask(maria.grant)
    assert not TrainerAccount.objects.exists()
