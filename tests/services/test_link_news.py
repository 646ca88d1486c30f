"""What is said of a link that is known: its job may come later, its project never changes."""

from __future__ import annotations

import logging

import pytest
from django.utils import translation

from django_opentrain.models import AccessGrant, Install, ProjectLink, WebhookEndpoint
from django_opentrain.platform import catalog
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import Link as SandboxLink
from django_opentrain.services import linking, reconcile, usage
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_event, make_grant, make_install, make_link, make_participant
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db


def install() -> Install:
    return Install.objects.get(status=Install.Status.ACTIVE)


def hourly(opentrain: OpenTrain) -> None:
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()


# Its project ----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    "kind",
    [
        catalog.CONTRACT_STARTED,
        catalog.CONTRACT_ENDED,
        catalog.PROJECT_LINK_CREATED,
        catalog.PROJECT_LINK_REMOVED,
    ],
)
def test_news_that_gives_a_link_another_project_opens_and_closes_no_other(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    maria = linked.hire()
    linked.run()
    link = ProjectLink.objects.get()
    make_event(
        WebhookEndpoint.objects.get(),
        kind,
        {
            "projectLink": {"id": link.opentrain_id, "externalProjectId": "g1", "jobId": link.job_id},
            "contract": {"id": maria.id, "status": "active"},
            "freelancer": {"opentrainUserId": maria.opentrain_user_id},
        },
        resource_id=maria.id if kind.startswith("contract") else link.opentrain_id,
    )
    with caplog.at_level(logging.ERROR, "django_opentrain"):
        linked.run()
    link.refresh_from_db()
    assert link.external_project_id == "p1"
    if kind != catalog.PROJECT_LINK_REMOVED:
        assert "is of project g1. It stays with project p1." in caplog.text
    linked.end(maria)
    linked.run()
    assert site.inside == set()
    assert {project for _name, _trainer, project in site.calls} == {"p1"}


@pytest.mark.long
def test_a_contradiction_is_shown_until_it_is_over(linked: OpenTrain, site: Host) -> None:
    there = find(linked.sandbox.store, SandboxLink, str(ProjectLink.objects.get().opentrain_id))
    with linked.sandbox.store.transaction():
        there.external_project_id = "g1"
        linked.sandbox.store.put(there)
    linked.hire()
    linked.run()
    assert "is of project g1" in ProjectLink.objects.get().last_error
    assert site.inside
    hourly(linked)
    with translation.override("de"):
        assert "gehört laut OpenTrain zu Projekt g1" in " ".join(install().last_reconciliation["problems"])
    assert {project for _trainer, project in site.inside} == {"p1"}
    with linked.sandbox.store.transaction():
        there.external_project_id = "p1"
        linked.sandbox.store.put(there)
    linked.hire()
    linked.run()
    assert ProjectLink.objects.get().last_error == ""


def test_what_was_opened_is_closed_whatever_the_link_says(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    ProjectLink.objects.update(external_project_id="g1")
    linked.end(maria)
    linked.run()
    assert site.calls[-1] == ("revoke_access", maria.opentrain_user_id, "p1")
    assert site.inside == set()


def test_what_may_have_been_opened_is_closed_too(linked: OpenTrain, site: Host) -> None:
    """The process ended during the call: nothing says that it took effect."""
    maria = linked.hire()
    site.failing["grant_access"] = RuntimeError()
    linked.run()
    assert maria.grant.opened_project_id == "p1"
    ProjectLink.objects.update(external_project_id="g1")
    linked.end(maria)
    linked.run()
    assert site.calls == [("revoke_access", maria.opentrain_user_id, "p1")]


def test_grants_of_a_project_are_those_that_opened_it() -> None:
    acme, globex = make_install("acme"), make_install("globex")
    links = [make_link(acme, external_project_id="p1"), make_link(globex, external_project_id="p1")]
    trainer = make_participant(acme)
    unopened = make_grant(make_contract(acme), links[0], trainer)
    elsewhere = make_grant(make_contract(acme), links[0], trainer, opened_project_id="p2")
    make_grant(make_contract(globex), links[1], make_participant(globex))
    assert list(AccessGrant.objects.of_project("acme", "p1")) == [unopened]
    assert list(AccessGrant.objects.of_project("acme", "p2")) == [elsewhere]
    assert elsewhere.external_project_id == "p2"


# Its job --------------------------------------------------------------------------------------


@pytest.fixture
def jobless(opentrain: OpenTrain) -> OpenTrain:
    """A project that is linked, and whose job the customer chooses afterwards, on OpenTrain: no event says so."""
    opentrain.connect("acme")
    linking.link(install(), "p1")
    opentrain.run()
    choose(opentrain, opentrain.sandbox.create_job("Sort", organization_id=install().organization_id).id)
    return opentrain


def choose(opentrain: OpenTrain, job_id: str) -> None:
    there = find(opentrain.sandbox.store, SandboxLink, str(ProjectLink.objects.get().opentrain_id))
    with opentrain.sandbox.store.transaction():
        there.job_id = job_id
        opentrain.sandbox.store.put(there)


def test_a_job_that_was_chosen_later_is_adopted(jobless: OpenTrain) -> None:
    hourly(jobless)
    [there] = install().client.list_project_links()
    assert ProjectLink.objects.get().job_id == there.job_id != ""
    assert install().last_reconciliation["changes"] == [
        f"~ link {there.id} of project p1 is now to job {there.job_id}"
    ]
    choose(jobless, other := jobless.sandbox.create_job("More", organization_id=install().organization_id).id)
    hourly(jobless)
    assert ProjectLink.objects.get().job_id == other


@pytest.mark.long
@pytest.mark.parametrize("noticed", [True, False])
def test_a_reconnect_keeps_a_job_that_was_chosen_later(jobless: OpenTrain, site: Host, noticed: bool) -> None:
    maria = jobless.hire(job="Sort")
    if noticed:
        hourly(jobless)
    else:
        jobless.run()
        ProjectLink.objects.update(job_id="")
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    jobless.connect("acme")
    jobless.run()
    usage.record(maria.contract, usage.today(), total_seconds=600)
    jobless.run()
    assert maria.contract.usage.get().status == "REPORTED"
    jobless.end(maria)
    jobless.run()
    assert site.inside == set()


def test_news_of_another_job_waits_for_the_list(linked: OpenTrain) -> None:
    """The event may be older than what is known."""
    link = ProjectLink.objects.get()
    make_event(
        WebhookEndpoint.objects.get(),
        catalog.PROJECT_LINK_CREATED,
        {"projectLink": {"id": link.opentrain_id, "externalProjectId": "p1", "jobId": "job_before"}},
    )
    linked.run()
    link.refresh_from_db()
    assert link.job_id not in ("", "job_before")
