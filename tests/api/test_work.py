"""The actions behind a day, and objections, for a customer's front end."""

from __future__ import annotations

from datetime import datetime, timedelta
from datetime import timezone as tz
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from django_opentrain.models import AccessGrant, Install
from tests import factories
from tests.api.conftest import log_in, url

NOON = datetime(2026, 11, 2, 12, tzinfo=tz.utc)
DAY = {"workDate": "2026-11-02"}


@pytest.fixture
def grant(install: Install) -> AccessGrant:
    link, person = (
        factories.make_link(install),
        factories.make_participant(install, opentrain_user_id="usr_maria"),
    )
    return factories.make_grant(factories.make_contract(install, [link], trainer=person), link, person)


def test_a_days_actions(grant: AccessGrant, boss: APIClient) -> None:
    entry = factories.make_work(grant, NOON, object_id="", duration=timedelta(hours=2, microseconds=5))
    factories.make_work(grant, NOON - timedelta(days=1))
    factories.make_work(grant, NOON, tenant="globex")
    body = boss.get(url("contract-work", grant.contract_id), DAY).json()
    assert body == {
        "contractId": grant.contract.opentrain_id,
        "entries": [
            {
                "id": entry.pk,
                "at": "2026-11-02T12:00:00Z",
                "workerOpentrainUserId": "usr_maria",
                "externalProjectId": grant.external_project_id,
                "objectId": None,
                "kind": "SUBMITTED",
                "claimedSeconds": 7200.000005,
                "countedSeconds": 1800.0,
                "tasks": 1,
                "labels": 3,
                "reason": None,
                "correctedBy": None,
            }
        ],
        "nextCursor": None,
    }
    other = {**DAY, "workerOpentrainUserId": "usr_other"}
    assert boss.get(url("contract-work", grant.contract_id), other).json()["entries"] == []


def test_pages_hold_every_action_once_in_one_number_of_queries(grant: AccessGrant, boss: APIClient) -> None:
    keys = [factories.make_work(grant, NOON + timedelta(seconds=n)).pk for n in range(7)]
    got: list[int] = []
    cursor, queries = "", set()
    while cursor is not None:
        query: dict[str, Any] = {**DAY, "limit": 3, "cursor": cursor}
        with CaptureQueriesContext(connection) as captured:
            body = boss.get(url("contract-work", grant.contract_id), query).json()
        queries.add(len(captured))
        got += [row["id"] for row in body["entries"]]
        cursor = body["nextCursor"]
    assert got == keys
    assert len(queries) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"workDate": "today"},
        {"workDate": "9999-12-31"},
        {"workDate": "0001-01-01"},
        {**DAY, "cursor": "-1"},
        {**DAY, "cursor": "9" * 10},
        {**DAY, "ordering": "-at"},
    ],
)
def test_what_is_no_day_or_page_is_refused(
    grant: AccessGrant, boss: APIClient, query: dict[str, Any]
) -> None:
    response = boss.get(url("contract-work", grant.contract_id), query)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")


def test_objections(grant: AccessGrant, boss: APIClient) -> None:
    old = factories.make_objection(
        grant.contract, status="ANSWERED", live=None, answer="No.", closed_by="ada"
    )
    new = factories.make_objection(grant.contract)
    factories.make_objection(factories.make_contract(factories.make_install("globex")))
    address = url("contract-objections", grant.contract_id)
    assert [row["id"] for row in boss.get(address).json()["results"]] == [new.pk, old.pk]
    [row] = boss.get(address, {"status": "ANSWERED"}).json()["results"]
    assert (row["answer"], row["closedBy"], row["workerOpentrainUserId"]) == ("No.", "ada", "usr_maria")
    assert log_in("globex-boss").get(address).status_code == 404
