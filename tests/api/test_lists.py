"""Lists: pages, order, what polling costs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import date
from itertools import chain
from typing import Any

import pytest
from django.db import connection
from django.db.models import BigAutoField, DateField, Field
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError
from rest_framework.test import APIClient

from django_opentrain.api.pagination import LARGEST_ID, _decode
from django_opentrain.models import Contract, Install
from django_opentrain.platform.resources import BudgetInfo
from django_opentrain.services.access import contracts
from tests import factories
from tests.api.conftest import url

LISTS = ["install-list", "project-link-list", "contract-list", "webhook-endpoint-list", "event-list"]


def fill(install: Install, number: int) -> None:
    """So many rows in each list, each with what hangs on it."""
    endpoint = factories.make_endpoint(install)
    for _each in range(number):
        factories.make_install("acme")
        link, person = factories.make_link(install), factories.make_participant(install)
        contract = factories.make_contract(install, [link], trainer=person)
        factories.make_grant(contract, link, person)
        factories.make_usage(contract)
        factories.make_endpoint(install)
        factories.make_event(endpoint)


def pages(boss: APIClient, name: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Every page of a list."""
    cursor: dict[str, str] = {}
    while True:
        page = boss.get(url(name), {**query, **cursor}).json()
        yield page["results"]
        if page["nextCursor"] is None:
            return
        cursor = {"cursor": page["nextCursor"]}


@pytest.mark.parametrize("name", LISTS)
def test_pages_hold_every_row_once_the_newest_first(name: str, boss: APIClient, install: Install) -> None:
    fill(install, 7)
    [whole] = pages(boss, name)
    parts = list(pages(boss, name, limit=3))
    assert [len(part) for part in parts[:2]] == [3, 3]
    assert list(chain(*parts)) == whole
    ids = [row["id"] for row in whole]
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize("name", LISTS)
def test_every_list_can_begin_with_the_oldest(name: str, boss: APIClient, install: Install) -> None:
    fill(install, 4)
    [newest_first] = pages(boss, name)
    assert list(chain(*pages(boss, name, ordering="id", limit=2))) == newest_first[::-1]


@pytest.mark.parametrize("ordering", ["id", "-id", "startDate", "-startDate"])
def test_any_order_has_every_row_once(ordering: str, boss: APIClient, install: Install) -> None:
    for day in (3, 1, None, 2, 2, None, 1):
        start = date(2026, 5, day) if day else None
        factories.make_contract(install, start_date=start, title="Same" if day == 2 else f"T{day}")
    rows = list(chain(*pages(boss, "contract-list", ordering=ordering, limit=2)))
    assert len({row["id"] for row in rows}) == len(rows) == 7
    name = ordering.removeprefix("-")
    values = [(row[name] or "", row["id"]) for row in rows]
    assert values == sorted(values, reverse=ordering.startswith("-"))


def test_rows_that_come_meanwhile_change_no_page(boss: APIClient, install: Install) -> None:
    old = [factories.make_contract(install).pk for _each in range(4)]
    first = boss.get(url("contract-list"), {"limit": 2}).json()
    factories.make_contract(install)
    Contract.objects.filter(pk=old[3]).delete()
    rest = boss.get(url("contract-list"), {"cursor": first["nextCursor"]}).json()
    assert [row["id"] for row in rest["results"]] == [old[1], old[0]]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_queries_however_long_it_is(
    name: str,
    boss: APIClient,
    install: Install,
    django_assert_num_queries: Any,
) -> None:
    fill(install, 1)
    with CaptureQueriesContext(connection) as few:
        boss.get(url(name))
    fill(install, 12)
    # The session, its user, and one query per table that the response shows.
    assert len(few) <= (5 if name == "contract-list" else 3)
    with django_assert_num_queries(len(few)):
        assert len(boss.get(url(name)).json()["results"]) > 10


@pytest.mark.parametrize("name", LISTS)
def test_polling_costs_no_bytes_while_nothing_changes(name: str, boss: APIClient, install: Install) -> None:
    fill(install, 2)
    etag = boss.get(url(name))["ETag"]
    unchanged = boss.get(url(name), headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", etag)
    assert unchanged["Cache-Control"] == "private, no-cache"
    assert boss.get(url(name), {"limit": 1}, headers={"If-None-Match": etag}).status_code == 200
    fill(install, 1)
    assert boss.get(url(name), headers={"If-None-Match": etag}).status_code == 200


def test_polling_sees_what_changes_without_touching_updated_at(boss: APIClient, install: Install) -> None:
    contract = factories.make_contract(install, trainer=factories.make_participant(install))
    etag = boss.get(url("contract-list"))["ETag"]
    before = contract.updated_at
    contracts.save_budget(contract, BudgetInfo.from_json({"state": "LOW"}))
    contract.refresh_from_db()
    assert contract.updated_at == before
    changed = boss.get(url("contract-list"), headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert contract.trainer is not None
    type(contract.trainer).objects.update(display_name="Another name")
    assert boss.get(url("contract-list"), headers={"If-None-Match": changed["ETag"]}).status_code == 200


def test_answers_to_changes_are_not_kept(boss: APIClient, install: Install) -> None:
    response = boss.post(url("install-reconcile", install.pk))
    assert (response["Cache-Control"], "ETag" in response) == ("no-store", False)
    assert boss.get(url("install-detail", 10**9))["Cache-Control"] == "no-store"


def test_head(boss: APIClient, install: Install) -> None:
    response = boss.head(url("install-list"))
    assert (response.status_code, response.content) == (200, b"")
    assert response["ETag"] == boss.get(url("install-list"))["ETag"]


CURSORS = st.one_of(st.text(), st.tuples(st.text(), st.integers()).map(lambda pair: _cursor(list(pair))))


def _cursor(position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize("field", [BigAutoField(), DateField()], ids=lambda field: type(field).__name__)
@given(cursor=CURSORS)
def test_a_forged_cursor_is_a_position_or_refused(field: Field[Any, Any], cursor: str) -> None:
    try:
        _key, pk = _decode(cursor, field)
    except ValidationError:
        return
    assert 0 <= pk <= LARGEST_ID
