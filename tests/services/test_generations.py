"""A reconnect while something of the old install is on its way: two installs, two links, two sets of ids.

What is said of the old install's link is never written into the new one's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from django_opentrain.models import AccessGrant, Contract, Install, ProjectLink, WebhookEndpoint, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import Install as SandboxInstall
from django_opentrain.sandbox.models import Token as SandboxToken
from django_opentrain.services import connect, endpoints, inbox, linking, reconcile, sweep
from django_opentrain.services.linking import generations, records
from django_opentrain.services.reconcile import runs, snapshot
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_event, make_install, make_link, make_user
from tests.played import a_customer
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db


def current() -> Install:
    return Install.objects.get(status=Install.Status.ACTIVE)


def reconnect(opentrain: OpenTrain) -> Install:
    """Only that: nothing that waits is done."""
    approval = opentrain.sandbox.approve(organization_id=current().organization_id)
    return connect.capture_token(connect.start_without_return(make_user(), "acme"), approval.token)


def assert_whole(opentrain: OpenTrain, site: Host) -> None:
    """The new install has its link, hears of the next hire, and OpenTrain answers for its contracts."""
    opentrain.run()
    install = current()
    [made] = install.client.list_project_links()
    assert ProjectLink.objects.live().get().opentrain_id == made.id
    before = set(site.inside)
    late = opentrain.hire("Late L.")
    opentrain.run()
    assert site.inside == before | {(late.opentrain_user_id, "p1")}
    assert install.client.get_budget(late.id).contract_id == late.id
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()
    install.refresh_from_db()
    assert (install.removals_held, install.last_reconciliation["problems"]) == (0, [])
    assert not WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING).exists()


# What waits while the customer reconnects ---------------------------------------------------------


@pytest.mark.long
def test_a_hire_that_waits_does_not_keep_the_link_from_being_made(linked: OpenTrain, site: Host) -> None:
    hires = [linked.hire(f"Trainer {number}") for number in range(8)]
    linked.deliver()
    reconnect(linked)
    inbox.drain()
    assert ProjectLink.objects.live().get().opentrain_id is None
    assert_whole(linked, site)
    assert {(each.opentrain_user_id, "p1") for each in hires} < site.inside


@pytest.mark.long
def test_a_hire_that_waits_through_two_reconnects(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.deliver()
    reconnect(linked)
    reconnect(linked)
    assert_whole(linked, site)
    assert (maria.opentrain_user_id, "p1") in site.inside


@pytest.mark.long
def test_an_end_that_waits(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    linked.end(maria)
    linked.deliver()
    reconnect(linked)
    assert_whole(linked, site)
    assert maria.contract.status == Contract.Status.ENDED
    assert (maria.opentrain_user_id, "p1") not in site.inside


@pytest.mark.long
def test_a_budget_that_waits(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    linked.fund(maria, hours=10)
    linked.deliver()
    reconnect(linked)
    assert_whole(linked, site)
    assert maria.contract.funded_volume == 10


def test_a_link_whose_news_waits_is_made_in_the_new_install(opentrain: OpenTrain, site: Host) -> None:
    """As it would have been, had the event been faster."""
    a_customer(opentrain)
    job = opentrain.sandbox.create_job("Sort", organization_id=current().organization_id)
    current().client.create_project_link(external_project_id="p1", job_id=job.id)
    opentrain.deliver()
    reconnect(opentrain)
    opentrain.run()
    assert [each.job_id for each in current().client.list_project_links()] == [job.id]
    assert ProjectLink.objects.live().get().external_project_id == "p1"


def test_what_was_linked_anew_since_is_not_what_the_old_news_is_about(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.deliver()
    reconnect(linked)
    linking.unlink(ProjectLink.objects.live().get())
    linked.link("p1", job="Another job", install=current())
    linked.run()
    assert site.inside == set()
    assert ProjectLink.objects.live().get().job_id != maria.contract.job_id


@pytest.mark.parametrize("linked_again", [True, False], ids=["to another job", "not at all"])
def test_late_news_of_an_unknown_link_leaves_what_was_decided_since(
    opentrain: OpenTrain, site: Host, linked_again: bool
) -> None:
    a_customer(opentrain)
    job = opentrain.sandbox.create_job("Sort", organization_id=current().organization_id)
    current().client.create_project_link(external_project_id="p1", job_id=job.id)
    opentrain.deliver()
    new = reconnect(opentrain)
    since = make_link(new, external_project_id="p1", opentrain_id=None, job_id="job_of_today")
    if not linked_again:
        ProjectLink.objects.update(status=ProjectLink.Status.REMOVED, live=None, job_id=job.id)
    inbox.drain()
    assert not ProjectLink.objects.filter(install=new).exclude(pk=since.pk).exists()
    since.refresh_from_db()
    assert since.opentrain_id is None
    assert bool(since.live) is linked_again
    [old] = ProjectLink.objects.exclude(pk=since.pk)
    assert generations.current(old) == (old if linked_again else since)


# Removals -----------------------------------------------------------------------------------------


def removal(link: ProjectLink, **values: Any) -> WebhookEvent:
    return make_event(
        link.install.webhook_endpoints.get(),
        catalog.PROJECT_LINK_REMOVED,
        {"projectLink": {"id": link.opentrain_id, "externalProjectId": "p1", "jobId": link.job_id}},
        resource_id=link.opentrain_id,
        **values,
    )


@pytest.mark.long
def test_the_removal_of_the_old_link_by_the_reconnect_removes_nothing(linked: OpenTrain, site: Host) -> None:
    """Whether OpenTrain sends one is not documented."""
    maria = linked.hire()
    linked.run()
    old = ProjectLink.objects.get()
    reconnect(linked)
    event = removal(old)
    assert_whole(linked, site)
    event.refresh_from_db()
    assert event.status == WebhookEvent.Status.IGNORED
    assert (maria.opentrain_user_id, "p1") in site.inside


def test_a_removal_from_before_the_reconnect_counts(linked: OpenTrain, site: Host) -> None:
    linked.hire()
    linked.run()
    current().client.delete_project_link(str(ProjectLink.objects.get().opentrain_id))
    linked.sandbox.deliver_due()
    assert WebhookEvent.objects.filter(type=catalog.PROJECT_LINK_REMOVED).exists()
    linked.travel(minutes=2)
    reconnect(linked)
    linked.run()
    assert site.inside == set()
    assert not ProjectLink.objects.live().exists()
    assert current().client.list_project_links() == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["created first", "removed first"])
def test_a_link_that_came_and_went_before_the_reconnect(
    opentrain: OpenTrain, site: Host, order: Sequence[int]
) -> None:
    a_customer(opentrain)
    job = opentrain.sandbox.create_job("Sort", organization_id=current().organization_id)
    made = current().client.create_project_link(external_project_id="p1", job_id=job.id)
    current().client.delete_project_link(made.id)
    opentrain.deliver()
    opentrain.travel(minutes=2)
    reconnect(opentrain)
    events = list(WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING, resource_id=made.id))
    for index in order:
        inbox.process(events[index])
    opentrain.run()
    assert current().client.list_project_links() == []
    assert not ProjectLink.objects.live().exists()


@pytest.mark.long
def test_unlinking_what_a_reconnect_has_replaced_unlinks_what_replaced_it(
    linked: OpenTrain, site: Host
) -> None:
    """The page with the button was loaded before."""
    linked.hire()
    linked.run()
    shown = ProjectLink.objects.get()
    linked.connect("acme")
    linking.unlink(shown)
    linked.run()
    assert site.inside == set()
    assert current().client.list_project_links() == []


def test_who_continues_each_other_is_no_endless_way() -> None:
    first = make_link(make_install())
    second = make_link(make_install(), continued_by=first)
    ProjectLink.objects.filter(pk=first.pk).update(continued_by=second)
    first.refresh_from_db()
    assert generations.current(first) == second


@pytest.mark.long
def test_back_to_an_older_connection_makes_its_links_again(linked: OpenTrain, site: Host) -> None:
    """Whether they are still there then is not documented: OpenTrain's list says."""
    linked.hire()
    linked.run()
    old = current()
    token = str(old.token)
    linked.connect("acme")
    there = find(linked.sandbox.store, SandboxInstall, str(old.opentrain_id))
    with linked.sandbox.store.transaction():
        there.status, there.revoked_at = "ACTIVE", None
        for each in linked.sandbox.store.owned(SandboxToken, there.id):
            each.revoked_at = None
            linked.sandbox.store.put(each)
        linked.sandbox.store.put(there)
    connect.capture_token(connect.start_without_return(make_user(), "acme"), token)
    assert_whole(linked, site)


# A link that is gone while trainers work there ----------------------------------------------------


@pytest.mark.long
def test_a_link_with_the_id_of_an_earlier_connection_is_made_again(linked: OpenTrain, site: Host) -> None:
    """As releases before this one could leave it."""
    for number in range(3):
        linked.hire(f"Trainer {number}")
    linked.run()
    dead = str(ProjectLink.objects.get().opentrain_id)
    linked.connect("acme")
    linked.run()
    current().client.delete_project_link(str(ProjectLink.objects.live().get().opentrain_id))
    ProjectLink.objects.live().update(opentrain_id=dead)
    WebhookEvent.objects.all().delete()
    reconcile.request_all()
    sweep.run()
    assert AccessGrant.objects.wanted().count() == 3
    assert_whole(linked, site)


@pytest.mark.long
def test_too_many_to_be_believed_are_not_advised_for_removal(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(8):
        linked.hire(f"Trainer {number}")
    linked.run()
    current().client.delete_project_link(str(ProjectLink.objects.get().opentrain_id))
    with caplog.at_level(logging.ERROR, "django_opentrain"):
        reconcile.install(current())
    install = current()
    assert install.removals_held == 0
    assert "it is created again" in install.last_reconciliation["changes"][0]
    assert "8 of 8 grants" in caplog.text
    assert AccessGrant.objects.wanted().count() == 8
    assert len(install.client.list_project_links()) == 1


def test_a_link_that_was_removed_meanwhile_is_not_made_again(linked: OpenTrain) -> None:
    link = ProjectLink.objects.get()
    records.mark_removed(ProjectLink.objects.get(), "event")
    records.forget_id(link)
    assert (link.status, link.opentrain_id is None) == (ProjectLink.Status.REMOVED, False)


# Subscribing comes first --------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["a reconnect", "a re-creation"])
def test_a_hire_after_the_lists_were_read_is_found_at_once(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what == "a re-creation":
        [endpoint] = current().client.list_webhook_endpoints()
        current().client.delete_webhook_endpoint(endpoint.id)
        reconcile.request_all()
    hires = _hire_after_the_lists(linked, monkeypatch)
    linked.run() if what == "a re-creation" else linked.connect("acme")
    assert site.inside == {(hires[0].opentrain_user_id, "p1")}


def _hire_after_the_lists(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> list[Hire]:
    """Once, when a run has just read them."""
    read_contracts = snapshot.read_contracts
    hires: list[Hire] = []

    def read(*arguments: Any) -> None:
        read_contracts(*arguments)
        if not hires:
            hires.append(opentrain.hire())

    monkeypatch.setattr(runs, "read_contracts", read)
    return hires


@pytest.mark.parametrize("how", ["checked", "rotated"])
def test_a_new_endpoint_has_the_lists_read_again(linked: OpenTrain, site: Host, how: str) -> None:
    [endpoint] = WebhookEndpoint.objects.live()
    current().client.delete_webhook_endpoint(endpoint.opentrain_id)
    maria = linked.hire()
    endpoints.check_all() if how == "checked" else endpoints.rotate_secret(endpoint)
    linked.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}
