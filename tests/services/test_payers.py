"""Which contract pays for what an account does in a project now, and whether it is a trainer's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from django_opentrain.models import AccessGrant
from django_opentrain.services import access, work
from django_opentrain.services.access.payers import hours_of
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.played import a_trainer

pytestmark = pytest.mark.django_db


@dataclass
class Account:
    """A user of the host's."""

    pk: str


@pytest.fixture
def maria(linked: OpenTrain) -> Hire:
    return a_trainer(linked)


def account_of(hire: Hire) -> str:
    return str(hire.grant.host_user_ref)


def test_a_trainer_is_known_by_user_and_by_key(maria: Hire) -> None:
    for user in (account_of(maria), Account(account_of(maria))):
        assert access.contract_for(user, "p1") == maria.contract
        assert access.is_trainer(user)


@pytest.mark.parametrize("user", ["someone", "", None, 0, Account(""), AnonymousUser()])
def test_others_are_no_trainers(maria: Hire, user: object) -> None:
    AccessGrant.objects.create(
        contract=maria.contract,
        link=maria.grant.link,
        participant=maria.contract.install.participants.create(opentrain_user_id="usr_x"),
        state=AccessGrant.State.GRANTED,
        opened_project_id="p1",
        granted_at=timezone.now(),
    )
    assert access.contract_for(user, "p1") is None
    assert not access.is_trainer(user)
    assert not work.observe(user, "p1", "SUBMITTED", tasks=1)


def test_no_contract_pays_in_other_projects(maria: Hire) -> None:
    assert access.contract_for(account_of(maria), "p2") is None


@pytest.mark.long
def test_an_ended_contract_pays_until_access_is_closed(linked: OpenTrain, maria: Hire) -> None:
    linked.end(maria)
    linked.travel(minutes=1)
    assert access.contract_for(account_of(maria), "p1") == maria.contract
    linked.run()
    assert access.contract_for(account_of(maria), "p1") is None
    assert not access.is_trainer(account_of(maria))


def test_of_two_contracts_the_one_that_began_first_pays_as_long_as_it_lasts(
    linked: OpenTrain, maria: Hire
) -> None:
    linked.travel(hours=1)
    again = linked.hire(again=maria)
    linked.run()
    assert access.contract_for(account_of(maria), "p1") == maria.contract
    linked.end(maria)
    linked.run()
    assert access.contract_for(account_of(maria), "p1") == again.contract


@pytest.mark.long
def test_it_is_the_contract_that_the_ledger_says(linked: OpenTrain, maria: Hire) -> None:
    """Work that is done now is reported for that one."""
    hires = [maria]
    for number in range(6):
        linked.travel(days=2)
        hires.append(linked.hire(again=maria))
        if number % 2:
            linked.end(hires[number // 2])
        linked.run()
        now = timezone.now()
        paying = [
            hire.contract
            for hire in hires
            for spans in hours_of(hire.contract).values()
            for hours in spans
            if hours.since <= now < hours.until
        ]
        assert [access.contract_for(account_of(maria), "p1")] == paying


@pytest.mark.long
def test_after_a_reconnect_it_is_the_same(linked: OpenTrain, maria: Hire) -> None:
    install = linked.connect("acme")
    linked.run()
    paying = access.contract_for(account_of(maria), "p1")
    assert paying == maria.contract
    assert paying.install == install


@pytest.mark.long
def test_queries_are_few_and_constant(linked: OpenTrain, maria: Hire, django_assert_num_queries: Any) -> None:
    for _hire in range(5):
        linked.hire(again=maria)
    linked.run()
    account = account_of(maria)
    with django_assert_num_queries(3):
        paying = access.contract_for(account, "p1")
        assert paying
        assert paying.install.tenant == "acme"
    with django_assert_num_queries(1):
        assert access.contract_for("someone", "p1") is None
    with django_assert_num_queries(1):
        assert access.is_trainer(account)
