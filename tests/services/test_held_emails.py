"""A Work Email at a domain that is not OpenTrain's documented one waits for an operator."""

from __future__ import annotations

from typing import Any

import pytest

from django_opentrain.errors import OperationRefused
from django_opentrain.models import AccessGrant
from django_opentrain.services.access import participants
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

State = AccessGrant.State


@pytest.mark.parametrize("email", ["maria@opentrain.work", "Maria@OpenTrain.Work"])
def test_the_documented_domain_gives_access(linked: OpenTrain, site: Host, email: str) -> None:
    maria = linked.hire(work_email=email)
    linked.run()
    assert maria.grant.state == State.GRANTED


@pytest.mark.long
@pytest.mark.parametrize(
    "email",
    [
        "maria@elsewhere.example",
        "maria@x.opentrain.work",
        "maria@notopentrain.work",
        "maria@opentrain.work.example",
    ],
)
def test_any_other_is_held_until_it_is_accepted(linked: OpenTrain, site: Host, email: str) -> None:
    maria = linked.hire(work_email=email)
    linked.run()
    linked.travel(hours=2)
    linked.run()
    assert (maria.grant.state, site.inside, site.calls) == (State.HELD, set(), [])
    assert "not at opentrain.work" in maria.grant.last_error
    assert email not in maria.grant.last_error
    participants.accept_email(maria.participant)
    linked.run()
    assert (maria.grant.state, maria.grant.last_error) == (State.GRANTED, "")
    assert site.emails[maria.opentrain_user_id] == email


@pytest.mark.long
def test_what_was_accepted_is_that_address_only(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire(work_email="maria@elsewhere.example")
    linked.run()
    seen = maria.participant
    linked.travel(minutes=1)
    linked.change_email(maria, "mallory@elsewhere.example")
    linked.hire(again=maria)
    linked.run()
    with pytest.raises(OperationRefused):
        participants.accept_email(seen)
    linked.run()
    assert site.inside == set()
    participants.accept_email(maria.participant)
    linked.travel(minutes=1)
    linked.change_email(maria, "other@elsewhere.example")
    third = linked.hire(again=maria)
    linked.run()
    assert third.grant.state == State.HELD


@pytest.mark.parametrize("domains", [["opentrain.work", "Elsewhere.example"], ["*"]])
def test_the_setting_names_others(linked: OpenTrain, site: Host, settings: Any, domains: list[str]) -> None:
    maria = linked.hire(work_email="maria@elsewhere.example")
    linked.run()
    assert maria.grant.state == State.HELD
    settings.OPENTRAIN = {**settings.OPENTRAIN, "WORK_EMAIL_DOMAINS": domains}
    linked.travel(hours=1)
    linked.run()
    assert maria.grant.state == State.GRANTED


def test_what_was_granted_stays_granted_when_the_setting_is_narrowed(
    linked: OpenTrain, site: Host, settings: Any
) -> None:
    maria = linked.hire()
    linked.run()
    settings.OPENTRAIN = {**settings.OPENTRAIN, "WORK_EMAIL_DOMAINS": ["elsewhere.example"]}
    linked.travel(hours=25)
    linked.run()
    assert maria.grant.state == State.GRANTED


def test_the_end_of_what_is_held_needs_no_decision(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire(work_email="maria@elsewhere.example")
    linked.run()
    linked.end(maria)
    linked.run()
    assert maria.grant.state == State.REVOKED
