"""Links: one per project, whatever happens to the answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.translation import gettext_lazy

from django_opentrain.adapters import Project
from django_opentrain.errors import AdapterError, BusyError, LinkConflict, LinkError
from django_opentrain.models import AccessGrant, DailyUsage, Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import NotFound, OpenTrainConnectionError, ServerError, Unauthorized
from django_opentrain.sandbox import models as sandbox_models
from django_opentrain.services import connect, linking, usage
from django_opentrain.services.linking import lifecycle
from django_opentrain.services.usage import collecting
from django_opentrain.services.workers.locks import lease
from django_opentrain.testing.kit import OpenTrain
from django_opentrain.web.presenters.projects import project_rows
from tests.factories import make_install, make_link, make_user
from tests.played import a_customer
from tests.services.conftest import Host, RecordingAdapter

pytestmark = pytest.mark.django_db

ACTIVE, PENDING, REMOVED = (
    ProjectLink.Status.ACTIVE,
    ProjectLink.Status.PENDING,
    ProjectLink.Status.REMOVED,
)
CREATE = "POST /project-links"
DELETE = "DELETE /project-links/.*"


@pytest.fixture
def install(opentrain: OpenTrain) -> Install:
    return a_customer(opentrain)


@pytest.fixture
def job(opentrain: OpenTrain, install: Install) -> str:
    return opentrain.sandbox.create_job("Label", organization_id=install.organization_id).id


def remote(install: Install) -> list[tuple[str, str]]:
    return [(info.external_project_id, info.job_id) for info in install.client.list_project_links()]


def test_a_link_is_made_with_the_projects_name(install: Install, job: str) -> None:
    row = linking.link(install, "p1", job)
    assert (row.status, row.external_project_name) == (ACTIVE, "P1")
    info = install.client.get_project_link(str(row.opentrain_id))
    assert (info.external_project_id, info.external_project_name, info.job_id) == ("p1", "P1", job)


def test_a_link_is_made_as_it_is_asked_for(install: Install, job: str) -> None:
    url = "https://annotate.example/p1/"
    asked = {"name": "Boxes", "url": url, "provisioning_mode": catalog.MANAGED_ADAPTER}
    row = linking.link(install, "p1", job, **asked)
    info = install.client.get_project_link(str(row.opentrain_id))
    for each in (row, info):
        assert (each.external_project_name, each.external_project_url) == ("Boxes", url)
        assert (each.job_id, each.provisioning_mode) == (job, catalog.MANAGED_ADAPTER)


def test_a_project_may_be_named_by_its_key(
    install: Install, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a host's model has it; OpenTrain takes texts."""
    projects = [Project(id=7, name=gettext_lazy("Birds"), url=None)]  # type: ignore[arg-type] # what hosts do
    monkeypatch.setattr(RecordingAdapter, "list_projects", lambda *_arguments: projects)
    row = linking.link(install, 7, job_id=job)  # type: ignore[arg-type] # likewise
    assert row.status == ACTIVE
    row.refresh_from_db()
    assert (row.external_project_id, row.external_project_name, row.external_project_url) == (
        "7",
        "Birds",
        "",
    )


@pytest.mark.parametrize(
    "wrong", [{"id": None}, {"id": 7.0}, {"id": "7", "name": b"Birds"}, {"id": "7", "url": 8.5}]
)
def test_a_project_that_can_not_be_named_is_said(
    install: Install, job: str, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    monkeypatch.setattr(RecordingAdapter, "list_projects", lambda *_arguments: [Project(**wrong)])
    with pytest.raises(AdapterError, match=r"value for Project\.(id|name|url) must be a text, not"):
        linking.link(install, "7", job_id=job)


def test_a_project_of_another_tenant_is_refused(install: Install, job: str) -> None:
    with pytest.raises(LinkError, match="not one of yours"):
        linking.link(install, "g1", job)
    with pytest.raises(LinkError, match="mode"):
        linking.link(install, "p1", job, provisioning_mode="MAGIC")
    assert not ProjectLink.objects.exists()


def test_a_definite_no_leaves_nothing(install: Install) -> None:
    with pytest.raises(NotFound) as caught:
        linking.link(install, "p1", "job_of_somebody_else")
    assert caught.value.request_id
    assert not ProjectLink.objects.exists()


def test_a_no_does_not_delete_what_a_worker_has_completed_meanwhile(
    install: Install, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = linking.complete

    def twice(row: ProjectLink) -> ProjectLink:
        complete(ProjectLink.objects.get(pk=row.pk))
        raise LinkConflict("It is linked already.")

    monkeypatch.setattr(lifecycle, "complete", twice)
    with pytest.raises(LinkConflict):
        linking.link(install, "p1", job)
    assert ProjectLink.objects.get().status == ACTIVE


def test_no_link_is_begun_in_an_install_that_a_reconnect_has_ended(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    """A process that died during the call would leave it there indefinitely."""
    opentrain.connect("acme")
    opentrain.sandbox.calls.clear()
    with pytest.raises(BusyError):
        linking.link(install, "p1", job)
    assert not opentrain.sandbox.calls


def test_twice_is_a_conflict_that_names_the_job(install: Install, job: str) -> None:
    linking.link(install, "p1", job)
    with pytest.raises(LinkConflict, match=job):
        linking.link(install, "p1", "another")
    assert len(remote(install)) == 1


def test_a_conflict_is_about_this_project_of_this_customer(install: Install, job: str) -> None:
    linking.unlink(linking.link(install, "p1", job))
    linking.link(install, "p2", job)
    make_link(make_install("globex"), external_project_id="p1", job_id="job_theirs")
    linking.link(install, "p1", job)
    with pytest.raises(LinkConflict, match=f"job {job} already"):
        linking.link(install, "p1", job)


def test_a_link_to_another_job_at_opentrain_is_explained(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    other = opentrain.sandbox.create_job("Other", organization_id=install.organization_id).id
    install.client.create_project_link(external_project_id="p1", job_id=other)
    with pytest.raises(LinkConflict, match=other):
        linking.link(install, "p1", job)
    assert not ProjectLink.objects.filter(job_id=job).exists()


def test_a_lost_answer_is_found_at_once(opentrain: OpenTrain, install: Install, job: str) -> None:
    opentrain.lose_next_response(match=CREATE)
    assert linking.link(install, "p1", job).status == ACTIVE
    assert remote(install) == [("p1", job)]


def test_a_lost_answer_is_adopted_later(opentrain: OpenTrain, install: Install, job: str) -> None:
    opentrain.lose_next_response(match=CREATE)
    opentrain.fail_next(status=503, match="GET /project-links")
    row = linking.link(install, "p1", job)
    assert (row.status, row.opentrain_id) == (PENDING, None)
    assert row.last_error
    opentrain.run()
    row.refresh_from_db()
    assert (row.status, row.last_error) == (ACTIVE, "")
    assert remote(install) == [("p1", job)]


def test_an_event_about_an_unanswered_link_completes_it(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    from django_opentrain.services import inbox

    opentrain.lose_next_response(match=CREATE)
    opentrain.fail_next(status=503, match="GET /project-links")
    row = linking.link(install, "p1", job)
    opentrain.deliver()
    inbox.drain()
    row.refresh_from_db()
    assert row.status == ACTIVE


def test_a_creation_that_never_arrived_is_made_later(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    opentrain.fail_next(status=500, match=CREATE)
    row = linking.link(install, "p1", job)
    assert row.status == PENDING
    opentrain.run()
    row.refresh_from_db()
    assert row.status == ACTIVE
    assert remote(install) == [("p1", job)]


def test_unlinking_deletes(opentrain: OpenTrain, install: Install, job: str) -> None:
    row = linking.unlink(linking.link(install, "p1", job))
    assert (row.status, row.live) == (REMOVED, None)
    assert row.removed_at
    assert remote(install) == []
    assert linking.link(install, "p1", job).status == ACTIVE


def test_unlinking_takes_nothing_else_away(
    opentrain: OpenTrain, install: Install, job: str, site: Host
) -> None:
    gone, stays = linking.link(install, "p1", job), opentrain.link("p2", job="Another job")
    opentrain.hire("Maria S.", job=job)
    ken = opentrain.hire("Ken T.", job=stays.job_id)
    opentrain.run()
    linking.unlink(gone)
    opentrain.run()
    stays.refresh_from_db()
    assert (stays.status, stays.removal_requested_at) == (ACTIVE, None)
    assert ken.grant.desired == AccessGrant.Desired.GRANTED
    assert site.inside == {(ken.opentrain_user_id, "p2")}


@pytest.mark.long
@pytest.mark.parametrize("fault", ["down", "lost"])
def test_unlinking_during_an_outage_closes_access_now_and_tells_opentrain_later(
    opentrain: OpenTrain, install: Install, job: str, site: Host, fault: str
) -> None:
    row = linking.link(install, "p1", job)
    maria = opentrain.hire(job=job)
    opentrain.run()
    if fault == "down":
        opentrain.fail_next(status=503, match=DELETE, times=2)
    else:
        opentrain.lose_next_response(match=DELETE)
    with pytest.raises((ServerError, OpenTrainConnectionError)):
        linking.unlink(row, "operator ann")
    assert maria.grant.desired == AccessGrant.Desired.REVOKED
    assert maria.grant.cause == "operator ann: project unlinked"
    with pytest.raises(LinkConflict, match="still being removed"):
        linking.link(install, "p1", job)
    for _round in range(3):
        opentrain.run()
        opentrain.travel(minutes=2)
    row.refresh_from_db()
    assert row.status == REMOVED
    assert site.inside == set()
    assert remote(install) == []


def test_unlinking_what_is_gone_is_fine(install: Install, job: str) -> None:
    row = linking.link(install, "p1", job)
    install.client.delete_project_link(str(row.opentrain_id))
    assert linking.unlink(row).status == REMOVED


def test_a_proxys_404_ends_no_removal(opentrain: OpenTrain, install: Install, job: str) -> None:
    row = linking.link(install, "p1", job)
    opentrain.sandbox.fault("html", status=404, match=DELETE)
    with pytest.raises(NotFound):
        linking.unlink(row)
    assert remote(install) != []
    opentrain.run()
    assert remote(install) == []


def test_a_proxys_404_ends_no_creation(opentrain: OpenTrain, install: Install, job: str) -> None:
    opentrain.sandbox.fault("html", status=404, match=CREATE)
    row = linking.link(install, "p1", job)
    opentrain.run()
    row.refresh_from_db()
    assert row.status == ACTIVE


def test_unlinking_an_unanswered_link_removes_it_too(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    opentrain.lose_next_response(match=CREATE)
    opentrain.fail_next(status=503, match="GET /project-links")
    row = linking.link(install, "p1", job)
    assert linking.unlink(row).status == REMOVED
    assert remote(install) == []


def test_unlinking_an_unanswered_link_leaves_other_jobs_links_alone(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    opentrain.fail_next(status=503, match=CREATE)
    row = linking.link(install, "p1", job)
    other = opentrain.sandbox.create_job("Another job", organization_id=install.organization_id)
    install.client.create_project_link(external_project_id="p1", job_id=other.id)
    assert linking.unlink(row).status == REMOVED
    opentrain.run()
    assert remote(install) == [("p1", other.id)]
    assert ProjectLink.objects.live().get().job_id == other.id


def test_a_refusal_after_the_row_was_deleted_is_that_refusal(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    """The customer was refused, and the row deleted, while a worker tried the same."""
    opentrain.fail_next(status=503, match=CREATE)
    row = linking.link(install, "p1", job)
    ProjectLink.objects.all().delete()
    opentrain.fail_next(status=404, match=CREATE)
    with pytest.raises(NotFound):
        linking.complete(row)


def test_unlinking_looks_for_work_where_there_can_be_some(
    opentrain: OpenTrain, install: Install, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = linking.link(install, "p1", job)
    old, late, now = (opentrain.hire(job=job) for _ in range(3))
    opentrain.end(old)
    opentrain.run()
    usage.record(old.contract, usage.today(), total_seconds=60)
    opentrain.travel(days=8)
    opentrain.end(late)
    opentrain.run()
    collected: list[str] = []
    monkeypatch.setattr(
        collecting, "collect", lambda contract, **_how: collected.append(contract.opentrain_id)
    )
    DailyUsage.objects.update(status=DailyUsage.Status.DUE)
    linking.unlink(row)
    assert sorted(collected) == sorted([late.id, now.id])
    assert not DailyUsage.objects.filter(status=DailyUsage.Status.DUE).exists()


def test_unlinking_under_a_dead_install_needs_no_call() -> None:
    row = make_link(make_install(status=Install.Status.REVOKED, token=None))
    assert linking.unlink(row).status == REMOVED


def test_unlinking_with_a_dead_token_closes_access_and_says_so(
    opentrain: OpenTrain, install: Install, job: str, site: Host
) -> None:
    row = linking.link(install, "p1", job)
    opentrain.hire(job=job)
    opentrain.run()
    Install.objects.update(status=Install.Status.UNAUTHORIZED)
    with pytest.raises(Unauthorized, match="connect again"):
        linking.unlink(row)
    opentrain.run()
    assert site.inside == set()


def test_a_project_that_is_unlinked_in_a_dead_connection_can_be_linked_through_another(
    opentrain: OpenTrain, install: Install, job: str
) -> None:
    """As the refusal advises. OpenTrain can't be notified of the old link's removal any more."""
    old = linking.link(install, "p1", job)
    Install.objects.update(status=Install.Status.UNAUTHORIZED)
    organization = opentrain.sandbox.create_organization("Another of Acme's")
    approval = opentrain.sandbox.approve(organization_id=organization.id)
    newer = connect.capture_token(connect.start_without_return(make_user(), "acme"), approval.token)
    other_job = opentrain.sandbox.create_job("Label", organization_id=organization.id).id
    with pytest.raises(LinkConflict, match="another connection"):
        linking.link(newer, "p1", other_job)
    with pytest.raises(Unauthorized):
        linking.unlink(old)
    [row] = [row for row in project_rows(newer, [Project(id="p1", name="One")]) if row.project]
    assert row.is_linkable
    assert linking.link(newer, "p1", other_job).status == ACTIVE


# What is owed when a link goes ------------------------------------------------------------------

USAGE = "POST /contracts/.*/usage"


@pytest.fixture
def worked(opentrain: OpenTrain, install: Install, job: str) -> ProjectLink:
    """There is unreported work under this link."""
    row = linking.link(install, "p1", job)
    maria = opentrain.hire(job=job)
    opentrain.run()
    usage.add(maria.contract, usage.today(), total_seconds=60)
    return row


def reported(opentrain: OpenTrain) -> int:
    return sum(row.total_seconds for row in opentrain.sandbox.store.all(sandbox_models.Usage))


def test_what_was_worked_is_reported_before_the_link_goes(opentrain: OpenTrain, worked: ProjectLink) -> None:
    """OpenTrain takes the usage of linked jobs only."""
    assert linking.unlink(worked).status == REMOVED
    assert reported(opentrain) == 60


def test_a_link_stays_until_its_usage_is_reported(
    opentrain: OpenTrain, worked: ProjectLink, site: Host
) -> None:
    opentrain.fail_next(status=503, match=USAGE)
    with pytest.raises(ServerError):
        linking.unlink(worked)
    assert reported(opentrain) == 0
    opentrain.run()
    worked.refresh_from_db()
    assert worked.status == REMOVED
    assert reported(opentrain) == 60
    assert site.inside == set()


def test_usage_that_is_refused_keeps_no_link_alive(opentrain: OpenTrain, worked: ProjectLink) -> None:
    opentrain.fail_next(status=409, match=USAGE)
    assert linking.unlink(worked).status == REMOVED
    assert DailyUsage.objects.get().status == DailyUsage.Status.DUE


def test_a_worker_that_is_at_it_finishes_the_removal(
    opentrain: OpenTrain, install: Install, worked: ProjectLink
) -> None:
    with lease(install.pk):
        row = linking.unlink(worked)
    assert row.removal_requested_at
    assert remote(install) != []
    opentrain.run()
    assert remote(install) == []
    assert reported(opentrain) == 60
