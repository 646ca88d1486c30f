"""A reconnect where OpenTrain didn't say of which organization an install is: unknown is equal to nothing."""

from __future__ import annotations

from typing import Any

import pytest

from django_opentrain.clients import build_client
from django_opentrain.errors import LinkConflict, OpenTrainError
from django_opentrain.models import Contract, DailyUsage, Install, Participant, ProjectLink
from django_opentrain.platform.resources import InstallInfo
from django_opentrain.sandbox.models import Organization
from django_opentrain.services import connect, reconcile, usage
from django_opentrain.services.connect import reconnect as takeover
from django_opentrain.testing.kit import OpenTrain
from tests.factories import (
    make_contract,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_usage,
    make_user,
)
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

Status = Install.Status


def current() -> Install:
    return Install.objects.get(status=Status.ACTIVE)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Installs, by OpenTrain's id, of whose organization it says nothing; "*" for all."""
    ids: set[str] = set()
    from_json = InstallInfo.from_json.__func__  # type: ignore[attr-defined] # a classmethod

    def without(cls: type[InstallInfo], data: Any) -> InstallInfo:
        if ids & {"*", data["id"]}:
            data = {**data, "organizationId": None}
        return from_json(cls, data)  # type: ignore[no-any-return]

    monkeypatch.setattr(InstallInfo, "from_json", classmethod(without))
    return ids


def acme(opentrain: OpenTrain) -> str:
    """The id of the customer's organization: the sandbox knows it."""
    return next(each.id for each in opentrain.sandbox.store.all(Organization) if each.name == "acme")


def reconnect(opentrain: OpenTrain, organization_id: str = "", **values: Any) -> Install:
    approval = opentrain.sandbox.approve(organization_id=organization_id or acme(opentrain), **values)
    return connect.capture_token(connect.start_without_return(make_user(), "acme"), approval.token)


@pytest.fixture
def working(linked: OpenTrain) -> OpenTrain:
    return linked


def forget() -> None:
    Install.objects.update(organization_id="")


@pytest.mark.long
@pytest.mark.parametrize("missing", ["old", "new", "both"])
def test_what_was_missing_once_is_proven(
    working: OpenTrain, site: Host, silent: set[str], missing: str
) -> None:
    maria = working.hire()
    working.run()
    old = current()
    if missing != "new":
        forget()
    if missing != "old":
        silent.add("*")
    new = reconnect(working)
    working.travel(hours=1)
    working.run()
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.superseded_by, maria.contract.install) == (new, new)
    known = "" if missing == "both" else acme(working)
    assert (old.organization_id, new.organization_id) == (known, known)
    [made] = new.client.list_project_links()
    assert ProjectLink.objects.live().get().opentrain_id == made.id
    working.end(maria)
    working.run()
    assert site.inside == set()


@pytest.mark.parametrize("missing", ["old", "new", "both"])
@pytest.mark.parametrize("ended", [True, False])
def test_another_organization_takes_nothing_over(
    working: OpenTrain, site: Host, silent: set[str], missing: str, ended: bool
) -> None:
    maria = working.hire()
    working.run()
    old = current()
    if missing != "new":
        forget()
    if missing != "old":
        silent.add("*")
    if ended:
        working.sandbox.disconnect(old.opentrain_id)
    other = working.sandbox.create_organization("Other")
    new = reconnect(working, other.id)
    old.refresh_from_db()
    assert (old.superseded_by, maria.contract.install) == (None, old)
    assert new.client.list_project_links() == []
    working.run()
    assert bool(site.inside)
    working.travel(hours=1)
    working.run()
    assert bool(site.inside) is not ended


def test_what_still_stands_is_asked_and_known_from_then_on(working: OpenTrain) -> None:
    forget()
    old = current()
    other = working.sandbox.create_organization("Other")
    reconnect(working, other.id)
    old.refresh_from_db()
    assert old.organization_id == acme(working)


def test_the_next_sync_learns_it_before_a_reconnect_needs_it(working: OpenTrain) -> None:
    forget()
    reconcile.request_all()
    working.run()
    assert current().organization_id == acme(working)


def test_a_job_that_was_chosen_later_proves_it_too(working: OpenTrain) -> None:
    maria = working.hire()
    working.run()
    forget()
    ProjectLink.objects.update(job_id="")
    new = reconnect(working)
    assert maria.contract.install == new


def test_without_a_job_there_is_nothing_to_prove_it_by(
    working: OpenTrain, caplog: pytest.LogCaptureFixture
) -> None:
    forget()
    ProjectLink.objects.update(job_id="")
    new = reconnect(working)
    assert not Install.objects.filter(superseded_by=new).exists()
    assert "nothing is taken over" in caplog.text


def test_a_grant_without_the_scope_proves_nothing(working: OpenTrain) -> None:
    forget()
    new = reconnect(working, scopes=["contracts:read"])
    assert not Install.objects.filter(superseded_by=new).exists()


@pytest.mark.parametrize("fault", ["lost", "html"])
def test_where_opentrain_does_not_answer_the_token_can_be_pasted_again(
    working: OpenTrain, fault: str
) -> None:
    forget()
    approval = working.sandbox.approve(organization_id=acme(working))
    waiting = connect.start_without_return(make_user(), "acme")
    if fault == "lost":
        working.lose_next_response(match="POST /project-links")
    else:
        working.sandbox.fault("html", status=404, match="POST /project-links")
    with pytest.raises(OpenTrainError):
        connect.capture_token(waiting, approval.token)
    new = connect.capture_token(waiting, approval.token)
    assert ProjectLink.objects.live().get().install == new
    assert len(new.client.list_project_links()) == 1


def test_a_link_of_that_project_to_another_job_is_no_proof(working: OpenTrain) -> None:
    forget()
    approval = working.sandbox.approve(organization_id=acme(working))
    job = working.sandbox.create_job("Another", organization_id=acme(working))
    build_client(approval.token).create_project_link(external_project_id="p1", job_id=job.id)
    new = connect.capture_token(connect.start_without_return(make_user(), "acme"), approval.token)
    assert not Install.objects.filter(superseded_by=new).exists()


@pytest.mark.long
def test_two_connections_that_knew_the_same_become_one(working: OpenTrain, site: Host) -> None:
    """The one in between could not know that it was a reconnect."""
    maria = working.hire()
    working.run()
    first = current()
    usage.record(maria.contract, usage.today(), total_seconds=60)
    forget()
    ProjectLink.objects.update(job_id="")
    Contract.objects.update(job_id="")
    second = reconnect(working)
    # Until it is known that the first one has ended, its projects are linked.
    with pytest.raises(LinkConflict):
        working.link("p1", install=second)
    working.run()
    link = working.link("p1", install=second)
    working.run()
    assert Contract.objects.filter(opentrain_id=maria.id).count() == 2
    ProjectLink.objects.update(job_id=link.job_id)
    third = reconnect(working)
    working.run()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.superseded_by, second.superseded_by) == (third, third)
    assert Contract.objects.get(opentrain_id=maria.id, install=third).grants.wanted().count() == 1
    assert Participant.objects.get().install == third
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    working.end(Contract.objects.get(opentrain_id=maria.id, install=third))
    working.run()
    assert site.inside == set()


def test_what_two_connections_knew_of_a_contract_is_kept_once() -> None:
    old, middle = make_install(organization_id="org_1"), make_install(organization_id="org_1")
    new = make_install(organization_id="org_1")
    for install in (old, middle):
        link = make_link(install, external_project_id="p1", job_id="job_1")
        trainer = make_participant(install, opentrain_user_id="usr_1")
        contract = make_contract(install, [link], opentrain_id="ctr_1", trainer=trainer)
        make_grant(contract, link, trainer)
    ours = Contract.objects.get(install=middle)
    theirs = Contract.objects.get(install=old)
    shared = make_usage(ours, usage.today(), total_seconds=20)
    make_usage(theirs, usage.today(), total_seconds=10)
    alone = make_usage(theirs, total_seconds=30)
    Contract.objects.filter(pk=theirs.pk).update(status=Contract.Status.ENDED)
    takeover.from_predecessors(new)
    kept = Contract.objects.get(install=new)
    assert (kept, kept.status) == (ours, Contract.Status.ENDED)
    assert set(DailyUsage.objects.filter(contract=kept)) == {shared, alone}
    assert Participant.objects.get().install == new
    assert not theirs.grants.wanted().exists()
