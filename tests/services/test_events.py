"""What each event means, by itself: nothing is asked of OpenTrain here."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.services import inbox
from tests.factories import (
    make_contract,
    make_endpoint,
    make_event,
    make_grant,
    make_install,
    make_link,
    make_participant,
)

pytestmark = pytest.mark.django_db

CONTRACT = {"id": "ctr_1", "jobId": "job_1", "title": "Boxes", "status": "active"}
LINK = {
    "id": "lnk_1",
    "externalProjectId": "p1",
    "jobId": "job_1",
    "provisioningMode": catalog.PARTNER_WEBHOOK,
}
MARIA = {"opentrainUserId": "usr_maria", "displayName": "Maria S.", "workEmail": "maria@opentrain.work"}
FULL = {"contract": CONTRACT, "projectLink": LINK, "freelancer": MARIA}


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint(make_install())


def deliver(
    endpoint: WebhookEndpoint, event_type: str, data: Any = None, resource_id: str = "", **values: Any
) -> WebhookEvent:
    return inbox.process(make_event(endpoint, event_type, data, resource_id=resource_id, **values))


def is_asked_for(install: Install) -> bool:
    """Whether OpenTrain is to be asked what the event left open."""
    install.refresh_from_db()
    return install.next_reconcile_at is not None


def test_a_start_that_tells_all_gives_access(endpoint: WebhookEndpoint) -> None:
    deliver(endpoint, catalog.CONTRACT_STARTED, FULL)
    grant = AccessGrant.objects.get()
    assert grant.participant.opentrain_user_id == "usr_maria"
    assert grant.contract.trainer == grant.participant
    assert list(grant.contract.links.all()) == [grant.link]
    assert not is_asked_for(endpoint.install)


def test_the_contract_is_named_by_the_resource_where_the_snapshot_lacks(endpoint: WebhookEndpoint) -> None:
    row = deliver(endpoint, catalog.CONTRACT_STARTED, {**FULL, "contract": {}}, "ctr_1")
    contract = AccessGrant.objects.get().contract
    assert (contract.opentrain_id, contract.job_id) == ("ctr_1", row.job_id)


@pytest.mark.parametrize("event_type", [catalog.CONTRACT_STARTED, catalog.PROJECT_LINK_CREATED])
def test_nothing_is_given_to_who_is_not_connected_any_more(
    endpoint: WebhookEndpoint, event_type: str
) -> None:
    Install.objects.update(status=Install.Status.DISCONNECTED)
    assert deliver(endpoint, event_type, FULL).status == WebhookEvent.Status.IGNORED
    assert not ProjectLink.objects.exists()


def test_rows_of_another_customer_with_the_same_ids_are_not_meant(endpoint: WebhookEndpoint) -> None:
    theirs = make_endpoint(make_install("globex"))
    for each in (theirs, endpoint):
        deliver(each, catalog.CONTRACT_STARTED, FULL)
    deliver(endpoint, catalog.PROJECT_LINK_REMOVED, {"projectLink": LINK}, "lnk_1")
    deliver(endpoint, catalog.CONTRACT_ENDED, FULL)
    for model in (Contract, ProjectLink, Participant):
        assert model.objects.filter(install=theirs.install).count() == 1
        assert model.objects.filter(install=endpoint.install).count() == 1
    [stays] = AccessGrant.objects.wanted()
    rows = (stays.contract, stays.link, stays.participant)
    assert [row.install for row in rows] == [theirs.install] * 3
    assert (stays.contract.status, stays.link.status) == ("active", "ACTIVE")


PARTIAL = {
    "a start without its contract": (catalog.CONTRACT_STARTED, {**FULL, "contract": {}}, ""),
    "a start without its link": (catalog.CONTRACT_STARTED, {**FULL, "projectLink": {}}, ""),
    "a start without its trainer": (catalog.CONTRACT_STARTED, {**FULL, "freelancer": {}}, ""),
    "an end without its contract": (catalog.CONTRACT_ENDED, {**FULL, "contract": {}}, ""),
    "a link, and the trainer hired for its job before": (
        catalog.PROJECT_LINK_CREATED,
        {"projectLink": LINK},
        "lnk_1",
    ),
    "the removal of a link without its id": (catalog.PROJECT_LINK_REMOVED, {}, ""),
    "money for an unknown contract": (catalog.MILESTONE_FUNDED, {"budget": {"state": "OK"}}, "ctr_1"),
}


@pytest.mark.parametrize(("event_type", "data", "resource_id"), PARTIAL.values(), ids=PARTIAL.keys())
def test_what_an_event_leaves_open_is_asked_for(
    endpoint: WebhookEndpoint, event_type: str, data: Any, resource_id: str
) -> None:
    assert deliver(endpoint, event_type, data, resource_id).status == WebhookEvent.Status.PROCESSED
    assert not AccessGrant.objects.exists()
    assert is_asked_for(endpoint.install)


def test_a_start_that_comes_after_the_end_gives_nothing(endpoint: WebhookEndpoint) -> None:
    """Also where the end didn't say whose access it was about."""
    deliver(endpoint, catalog.CONTRACT_ENDED, {"contract": CONTRACT})
    late = deliver(endpoint, catalog.CONTRACT_STARTED, FULL)
    assert (late.status, late.error) == (WebhookEvent.Status.IGNORED, "The contract has ended already.")
    assert not AccessGrant.objects.exists()


def test_an_end_that_comes_alone_leaves_something_to_remove(endpoint: WebhookEndpoint) -> None:
    """Access may have been given by a row that is there no more."""
    deliver(endpoint, catalog.CONTRACT_ENDED, FULL)
    grant = AccessGrant.objects.get()
    assert (grant.desired, grant.state) == (AccessGrant.Desired.REVOKED, AccessGrant.State.PENDING)
    assert grant.cause.endswith(catalog.CONTRACT_ENDED)


@pytest.mark.parametrize("part", ["projectLink", "freelancer"])
def test_an_end_without_its_link_or_trainer_is_an_end(endpoint: WebhookEndpoint, part: str) -> None:
    deliver(endpoint, catalog.CONTRACT_STARTED, FULL)
    deliver(endpoint, catalog.CONTRACT_ENDED, {**FULL, part: {}})
    assert Contract.objects.get().status == Contract.Status.ENDED
    assert not AccessGrant.objects.wanted().exists()


def test_an_end_is_one_contracts_and_happens_once(endpoint: WebhookEndpoint) -> None:
    link = make_link(endpoint.install)
    other = make_contract(endpoint.install, [link])
    stays = make_grant(other, link, make_participant(endpoint.install))
    deliver(endpoint, catalog.CONTRACT_STARTED, FULL)
    deliver(endpoint, catalog.CONTRACT_ENDED, FULL)
    ended_at = Contract.objects.get(status=Contract.Status.ENDED).ended_at
    deliver(endpoint, catalog.CONTRACT_ENDED, FULL)
    assert ended_at is not None
    assert Contract.objects.get(opentrain_id="ctr_1").ended_at == ended_at
    assert list(AccessGrant.objects.wanted()) == [stays]
    other.refresh_from_db()
    assert (other.status, other.ended_at) == (Contract.Status.ACTIVE, None)


def test_older_news_only_fills_in_what_is_not_known(endpoint: WebhookEndpoint) -> None:
    newer = {**CONTRACT, "title": "Masks", "endDate": "2026-11-20"}
    older = {**CONTRACT, "startDate": "2026-11-02", "jobId": "job_0"}
    deliver(endpoint, catalog.CONTRACT_ENDED, {"contract": newer}, event_id="evt_10")
    deliver(endpoint, catalog.CONTRACT_STARTED, {"contract": older}, event_id="evt_9")
    contract = Contract.objects.get()
    assert (contract.title, contract.job_id) == ("Masks", "job_1")
    assert (contract.start_date, contract.end_date) == (date(2026, 11, 2), date(2026, 11, 20))
    assert contract.last_event_id == "evt_10"
    deliver(endpoint, catalog.CONTRACT_ENDED, {"contract": {**CONTRACT, "title": "Cats"}}, event_id="evt_11")
    contract.refresh_from_db()
    assert (contract.title, contract.last_event_id) == ("Cats", "evt_11")
    assert contract.end_date == date(2026, 11, 20), "what is left out stays"


def test_news_of_a_removed_link_does_not_revive_it(endpoint: WebhookEndpoint) -> None:
    deliver(endpoint, catalog.PROJECT_LINK_REMOVED, {"projectLink": LINK}, "lnk_1")
    late = deliver(endpoint, catalog.PROJECT_LINK_CREATED, {"projectLink": LINK}, "lnk_1")
    assert (late.status, late.error) == (WebhookEvent.Status.IGNORED, "The link was removed already.")
    assert ProjectLink.objects.get().status == ProjectLink.Status.REMOVED


@pytest.mark.parametrize(("data", "resource_id"), [({"projectLink": {"id": "lnk_1"}}, ""), ({}, "lnk_1")])
def test_the_removed_link_alone_loses_its_access(
    endpoint: WebhookEndpoint, data: dict[str, Any], resource_id: str
) -> None:
    link, other = make_link(endpoint.install, opentrain_id="lnk_1"), make_link(endpoint.install)
    contract = make_contract(endpoint.install, [link, other])
    trainer = make_participant(endpoint.install)
    gone, stays = make_grant(contract, link, trainer), make_grant(contract, other, trainer)
    deliver(endpoint, catalog.PROJECT_LINK_REMOVED, data, resource_id)
    assert list(ProjectLink.objects.live()) == [other]
    assert list(AccessGrant.objects.wanted()) == [stays]
    gone.refresh_from_db()
    assert gone.cause.endswith(catalog.PROJECT_LINK_REMOVED)


@pytest.mark.parametrize(
    ("data", "resource_id"),
    [
        ({"contractId": "ctr_1"}, "mst_1"),
        ({"contract": {"id": "ctr_1"}}, "mst_1"),
        ({"budget": {"contractId": "ctr_1"}}, "mst_1"),
        ({}, "ctr_1"),
    ],
)
def test_money_says_in_one_way_or_another_for_which_contract(
    endpoint: WebhookEndpoint, data: dict[str, Any], resource_id: str
) -> None:
    """Only that there is a contract, or its id, is documented."""
    theirs, other = (
        make_contract(make_install("globex"), opentrain_id="ctr_1"),
        make_contract(endpoint.install),
    )
    contract = make_contract(endpoint.install, opentrain_id="ctr_1")
    deliver(
        endpoint,
        catalog.MILESTONE_BUDGET_LOW,
        {**data, "budget": {"state": "LOW", **data.get("budget", {})}},
        resource_id,
    )
    for row in (contract, theirs, other):
        row.refresh_from_db()
    assert (contract.budget_state, theirs.budget_state, other.budget_state) == ("LOW", "OK", "OK")


# install.revoked ------------------------------------------------------------------------------


def test_a_revocation_is_one_customers(endpoint: WebhookEndpoint) -> None:
    theirs, mine = make_install("globex"), endpoint.install
    deliver(endpoint, catalog.INSTALL_REVOKED, resource_id=str(mine.opentrain_id))
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.status, mine.token, mine.last_error_code) == (Install.Status.REVOKED, None, "REVOKED")
    assert "disconnected on OpenTrain" in mine.last_error
    assert mine.revoked_at is not None
    assert theirs.status == Install.Status.ACTIVE
    assert theirs.token


@pytest.mark.parametrize("status", [Install.Status.REVOKED, Install.Status.DISCONNECTED])
def test_what_has_ended_is_not_revoked_again(endpoint: WebhookEndpoint, status: str) -> None:
    """Who leaves here keeps the token until the last hours are reported."""
    now = timezone.now()
    Install.objects.update(status=status, revoked_at=now)
    row = deliver(endpoint, catalog.INSTALL_REVOKED, resource_id=str(endpoint.install.opentrain_id))
    assert row.status == WebhookEvent.Status.IGNORED
    install = Install.objects.get()
    assert (install.status, install.revoked_at) == (status, now)
    assert install.token
