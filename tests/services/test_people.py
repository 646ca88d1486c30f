"""Who works under a contract: more than one, for more than one customer, with an e-mail that changes."""

from __future__ import annotations

import pytest

from django_opentrain.models import AccessGrant, Contract, Install
from django_opentrain.services import reconcile
from django_opentrain.services.access import grants
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db


def hourly(opentrain: OpenTrain) -> None:
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()


@pytest.mark.long
def test_who_is_hired_besides_the_trainer_gets_in(linked: OpenTrain, site: Host) -> None:
    """The event names the trainer only."""
    maria = linked.hire()
    ken = linked.sandbox.add_participant(maria.id, "Ken T.")
    linked.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    hourly(linked)
    assert site.inside == {(maria.opentrain_user_id, "p1"), (ken.opentrain_user_id, "p1")}
    assert maria.contract.trainer == maria.participant
    linked.end(maria)
    linked.run()
    assert site.inside == set()


@pytest.mark.slow
def test_who_joins_later_does_not_wait_for_the_trainers_work_email(linked: OpenTrain, site: Host) -> None:
    """Which is asked for each hour: that is another question."""
    maria = linked.hire(work_email="later")
    linked.run()
    hourly(linked)
    ken = linked.sandbox.add_participant(maria.id, "Ken T.")
    for _hour in range(24):
        hourly(linked)
    assert site.inside == {(ken.opentrain_user_id, "p1")}


@pytest.mark.slow
def test_who_joins_later_gets_in_within_a_day(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    hourly(linked)
    ken = linked.sandbox.add_participant(maria.id, "Ken T.")
    for _hour in range(24):
        hourly(linked)
    assert (ken.opentrain_user_id, "p1") in site.inside


@pytest.mark.slow
def test_a_changed_work_email_is_noticed_within_a_day(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    linked.change_email(maria, "maria.new@opentrain.work")
    for _hour in range(25):
        hourly(linked)
    assert site.emails[maria.opentrain_user_id] == "maria.new@opentrain.work"


@pytest.mark.long
def test_asking_again_opens_no_other_project(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.link("p2", job="Another job")
    linked.run()
    linked.travel(days=1)
    hourly(linked)
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    assert [link.external_project_id for link in maria.contract.links.all()] == ["p1"]


@pytest.mark.long
def test_asking_again_gives_nothing_back_that_was_taken_away(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    grants.revoke(AccessGrant.objects.all(), "operator ann")
    hourly(linked)
    assert site.inside == set()
    assert maria.contract.participants_read_at is not None


def test_nobody_is_asked_about_contracts_whose_job_is_not_linked(linked: OpenTrain) -> None:
    linked.hire()
    linked.run()
    install = Install.objects.get()
    for link in install.client.list_project_links():
        install.client.delete_project_link(link.id)
    linked.run()
    Contract.objects.update(participants_read_at=None, budget_updated_at=None)
    linked.sandbox.calls.clear()
    assert reconcile.install(install).problems == []
    paths = [call.path for call in linked.sandbox.calls]
    assert sorted(paths) == ["/project-links", "/webhook-endpoints"]
