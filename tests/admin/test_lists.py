"""Lists on large tables: what they count, how they are searched, and what that costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any, Final
from uuid import uuid4

import django
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain.admin.columns import follow
from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    Counter,
    DailyUsage,
    Heartbeat,
    Install,
    Participant,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
    WebhookEvent,
    WorkEntry,
)
from tests import factories
from tests.admin.browsing import text_of, url
from tests.admin.conftest import logged_in
from tests.admin.test_pages import every_model

pytestmark = pytest.mark.django_db

Rows = dict[type[models.Model], Any]


def make_rows(number: int) -> Rows:
    """A row of each model, each with ids and names of its own."""
    install = factories.make_install(
        f"customer-{number}",
        opentrain_id=f"install_{number}",
        expected_id=f"exp_{number}",
        organization_id=f"organization_{number}",
    )
    link = factories.make_link(install, external_project_name=f"Project {number} here")
    person = factories.make_participant(install, display_name=f"Trainer {number} S.")
    contract = factories.make_contract(install, [link], trainer=person, title=f"Title {number} of it")
    user = factories.make_user(f"login-{number}")
    grant = factories.make_grant(contract, link, person)
    endpoint = factories.make_endpoint(install)
    return {
        Install: install,
        ConsentRequest: factories.make_consent_request(
            user, f"customer-{number}", external_project_id=f"prj_{number}"
        ),
        ProjectLink: link,
        Participant: person,
        Contract: contract,
        AccessGrant: grant,
        TrainerAccount: factories.make_trainer_account(user),
        WebhookEndpoint: endpoint,
        WebhookEvent: factories.make_event(endpoint),
        DailyUsage: factories.make_usage(contract, worker_id=f"worker_{number}"),
        UsageObjection: factories.make_objection(contract),
        WorkEntry: factories.make_work(grant, timezone.now(), task_id=f"task_{number}"),
        Heartbeat: Heartbeat.objects.create(
            name=f"beat-{number}", beat_at=timezone.now(), host=f"host-{number}"
        ),
        Counter: Counter.objects.create(
            metric=Counter.Metric.EVENTS, label=f"label-{number}", detail=f"detail-{number}"
        ),
    }


def searches(rows: Rows) -> Iterator[tuple[type[models.Model], str, str]]:
    """Each model with each of its lookups, and the term by which that finds the model's row."""
    for model, row in rows.items():
        for field in admin.site._registry[model].get_search_fields(Any):  # type: ignore[arg-type]
            yield model, field, str(follow(row, field.rpartition("__")[0]))


def found(client: Client, model: type[models.Model], term: str) -> list[models.Model]:
    response = client.get(url(model, "changelist"), {"q": term})
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


@pytest.mark.long
def test_a_row_is_found_by_what_its_list_says(superuser: User) -> None:
    client, rows = logged_in(superuser), make_rows(111)
    make_rows(222)
    for model, field, term in searches(rows):
        assert found(client, model, term) == [rows[model]], (model, field, term)


def test_ids_are_found_in_full_and_names_by_their_beginning(superuser: User) -> None:
    client, rows = logged_in(superuser), make_rows(111)
    contract = rows[Contract]
    assert found(client, Contract, contract.opentrain_id[:-1]) == []
    assert found(client, Contract, "customer-11") == []
    assert found(client, Contract, "of it") == []
    assert found(client, Contract, "Title 111") == [contract]
    assert found(client, AccessGrant, "Trainer 111") == [rows[AccessGrant]]
    assert found(client, ProjectLink, "111 HERE") == [rows[ProjectLink]]
    assert found(client, Install, "tomer-11") == [rows[Install]]


def test_what_several_lookups_find_is_all_there(superuser: User) -> None:
    """Ids of hosts are often plain numbers."""
    client, rows = logged_in(superuser), make_rows(111)
    other = factories.make_grant(
        rows[Contract], factories.make_link(rows[Install]), rows[Participant], host_user_ref="customer-111"
    )
    assert found(client, AccessGrant, "customer-111") == [other, rows[AccessGrant]]
    response = client.get(url(AccessGrant, "changelist"), {"q": "customer-111", "state__exact": "FAILED"})
    assert list(response.context["cl"].result_list) == []


@pytest.mark.long
@every_model
def test_the_cost_of_a_search_does_not_grow(model: type[models.Model], superuser: User) -> None:
    client, rows = logged_in(superuser), make_rows(111)
    terms = [term for each, _field, term in searches(rows) if each is model]

    def costs() -> list[int]:
        return [len(statements_of(client, model, q=term)) for term in terms]

    assert costs()
    few = costs()
    for number in range(200, 220):
        make_rows(number)
    assert costs() == few
    assert max(few) <= 12


def test_a_list_counts_no_more_than_anyone_turns_over(
    superuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_opentrain.admin.base.MAX_COUNTED", 3)
    client, endpoint = logged_in(superuser), factories.make_endpoint(factories.make_install())
    for status in ("FAILED", "PROCESSED", "PROCESSED"):
        factories.make_event(endpoint, status=status)
    more = "There are more than these 3: narrow the list by a filter or a search."
    assert more not in text_of(client.get(url(WebhookEvent, "changelist")))
    factories.make_event(endpoint, status="PROCESSED")
    response = client.get(url(WebhookEvent, "changelist"))
    assert response.context["cl"].result_count == 3
    assert more in text_of(response)
    page = text_of(client.get(url(WebhookEvent, "changelist"), {"status__exact": "FAILED"}))
    assert more not in page
    with CaptureQueriesContext(connection) as statements:
        client.get(url(WebhookEvent, "changelist"))
    counts = [each["sql"] for each in statements if "COUNT(*)" in each["sql"]]
    assert len(counts) == 1
    assert "LIMIT 4" in counts[0]


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django has no facets")
@every_model
def test_choices_of_filters_are_not_counted(model: type[models.Model], superuser: User) -> None:
    client = logged_in(superuser)
    client.get(url(model, "changelist"))
    with CaptureQueriesContext(connection) as plain:
        client.get(url(model, "changelist"))
    with CaptureQueriesContext(connection) as faceted:
        client.get(url(model, "changelist"), {"_facets": "True"})
    assert len(faceted) == len(plain)


# What PostgreSQL does ---------------------------------------------------------------------------

#: So many rows, of so many customers, that an index pays.
MANY, CUSTOMERS = 3000, 1000
LARGE: Final = (Contract, Participant, AccessGrant, TrainerAccount, WebhookEvent, DailyUsage, UsageObjection)

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's plans")


def copies(row: Any, columns: Callable[[int], dict[str, Any]], count: int = MANY) -> list[Any]:
    """So many more of a row, each with columns of its own."""
    kept = {
        each.attname: getattr(row, each.attname) for each in row._meta.concrete_fields if each.name != "id"
    }
    made: list[Any] = type(row)._default_manager.bulk_create(
        type(row)(**{**kept, **columns(number)}) for number in range(count)
    )
    return made


@pytest.fixture
def large(transactional_db: None, superuser: User) -> Rows:
    """The rows of one customer on a large site. They are committed: the planner's statistics are VACUUM's."""
    rows = make_rows(111)
    installs = copies(rows[Install], lambda n: {"tenant": f"acme {n}", "opentrain_id": f"ins {n}"}, CUSTOMERS)
    links = copies(
        rows[ProjectLink],
        lambda n: {
            "install_id": installs[n].pk,
            "external_project_id": f"prj {n}",
            "external_project_name": f"Name {n}",
        },
        CUSTOMERS,
    )
    endpoints = copies(
        rows[WebhookEndpoint], lambda n: {"install_id": installs[n].pk, "key": uuid4()}, CUSTOMERS
    )

    def of(rows: list[Any], n: int) -> Any:
        return rows[n % len(rows)].pk

    persons = copies(
        rows[Participant],
        lambda n: {
            "install_id": of(installs, n),
            "opentrain_user_id": f"usr {n}",
            "display_name": f"Name {n}",
        },
    )
    contracts = copies(
        rows[Contract],
        lambda n: {
            "install_id": of(installs, n),
            "trainer_id": of(persons, n),
            "opentrain_id": f"ctr {n}",
            "job_id": f"job {n}",
            "title": f"Name {n}",
        },
    )
    hired = {"contract_id": contracts, "participant_id": persons, "link_id": links}
    copies(rows[AccessGrant], lambda n: {"host_user_ref": f"{n}", **{k: of(v, n) for k, v in hired.items()}})
    copies(
        rows[WebhookEvent],
        lambda n: {
            "endpoint_id": of(endpoints, n),
            "digest": n,
            "event_id": f"evt {n}",
            "delivery_id": f"dlv {n}",
            "resource_id": f"res {n}",
        },
    )
    users = copies(superuser, lambda n: {"username": f"user {n}"})
    copies(rows[TrainerAccount], lambda n: {"user_id": of(users, n), "opentrain_user_id": f"usr {n}"})
    day = date(2026, 1, 1)
    copies(
        rows[DailyUsage],
        lambda n: {
            "contract_id": of(contracts, n),
            "worker_id": "",
            "work_date": day + timedelta(days=n % 99),
        },
    )
    copies(rows[UsageObjection], lambda n: {"contract_id": of(contracts, n), "opentrain_user_id": f"usr {n}"})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return rows


def scans(statement: str) -> list[dict[str, Any]]:
    """How PostgreSQL would read large tables for it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}".replace("%", "%%"))
        (plans,) = cursor.fetchone()
    (plan,) = json.loads(plans) if isinstance(plans, str) else plans
    tables = {model._meta.db_table for model in LARGE}
    return [node for node in nodes(plan["Plan"]) if node.get("Relation Name") in tables]


def reads_through(node: dict[str, Any]) -> bool:
    """Whether it has no condition on an index. What a bitmap's heap is scanned for, an index has found."""
    return "Index Cond" not in node and node["Node Type"] != "Bitmap Heap Scan"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def statements_of(client: Client, model: type[models.Model], **query: str) -> list[str]:
    with CaptureQueriesContext(connection) as statements:
        assert client.get(url(model, "changelist"), query).status_code == 200
    return [each["sql"] for each in statements if each["sql"].startswith("SELECT")]


@on_postgresql
def test_searches_use_indexes(large: Rows, superuser: User) -> None:
    client = logged_in(superuser)
    terms = [(model, term) for model, _field, term in searches(large) if model in LARGE]
    for model, term in [*terms, *((model, "nothing there") for model in LARGE)]:
        for statement in statements_of(client, model, q=term):
            assert [node for node in scans(statement) if reads_through(node)] == [], (term, statement)


@on_postgresql
def test_first_pages_use_indexes(large: Rows, superuser: User) -> None:
    client = logged_in(superuser)
    for model in LARGE:
        (page,) = (each for each in statements_of(client, model) if "ORDER BY" in each)
        assert [node for node in scans(page) if node["Node Type"] == "Seq Scan"] == [], page


@on_postgresql
def test_an_endpoints_events_are_counted_in_an_index(large: Rows, superuser: User) -> None:
    statements = statements_of(logged_in(superuser), WebhookEndpoint)
    counts = [each for each in statements if "COUNT(" in each and WebhookEvent._meta.db_table in each]
    received, failed = (scans(each) for each in counts if "GROUP BY" in each)
    assert [node["Node Type"] for node in received] == ["Index Only Scan"]
    assert [node["Index Name"] for node in failed] == ["opentrain_event_waiting"]
