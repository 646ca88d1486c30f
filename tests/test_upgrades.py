"""Upgrades: data of every migration state goes forward to the newest, and the newest state goes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from django_opentrain.models import (
    AccessGrant,
    DailyUsage,
    Install,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
    WebhookEvent,
    WorkEntry,
)

APP = "django_opentrain"
AT = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True)]


def states() -> list[str]:
    """The names of our migrations, in order."""
    loader = MigrationExecutor(connection).loader
    [leaf] = [key for key in loader.graph.leaf_nodes() if key[0] == APP]
    return [name for app, name in loader.graph.forwards_plan(leaf) if app == APP]


def migrate(name: str | None) -> Any:
    """Go to this state (None: before the first); returns its historical apps."""
    MigrationExecutor(connection).migrate([(APP, name)])
    return MigrationExecutor(connection).loader.project_state([(APP, name)] if name else []).apps


class Creator:
    """Creates rows of a state's models, where it has them.

    They are related by their ids: a state that was gone through step by step has models of several steps.
    """

    def __init__(self, apps: Any) -> None:
        self.apps = apps

    def __call__(self, model: str, app: str = APP, **values: Any) -> int:
        return int(self.apps.get_model(app, model).objects.create(**values).pk)

    def later(self, model: str, **values: Any) -> None:
        """Of a model that was not there from the first state on."""
        if model.lower() in self.apps.all_models[APP]:
            self(model, **values)


def populate(apps: Any, customer: str) -> None:
    """One row of each aggregate, with every secret filled."""
    create = Creator(apps)
    install = create(
        "Install", tenant=customer, opentrain_id=customer, status="ACTIVE", token="ot_ptk_1", scopes=["a:b"]
    )
    link = create(
        "ProjectLink", install_id=install, opentrain_id=customer, external_project_id="p1", status="ACTIVE"
    )
    person = create(
        "Participant", install_id=install, opentrain_user_id="usr_1", work_email="m@opentrain.work"
    )
    contract = create("Contract", install_id=install, opentrain_id=customer, trainer_id=person)
    apps.get_model(APP, "Contract").objects.get(pk=contract).links.add(link)
    create("AccessGrant", contract_id=contract, link_id=link, participant_id=person, state="GRANTED")
    create("DailyUsage", contract_id=contract, work_date=date(2026, 11, 1), total_seconds=60)
    endpoint = create("WebhookEndpoint", install_id=install, secret="whsec_1", status="ACTIVE")
    create(
        "WebhookEvent",
        endpoint_id=endpoint,
        digest="d" * 64,
        body=b'{"id": "1"}',
        received_at=AT,
    )
    user = create("User", "auth", username=customer)
    create("TrainerAccount", user_id=user, opentrain_user_id=customer, created_by_us=True)
    day, trainer = AT.date(), {"opentrain_user_id": customer}
    create.later("UsageObjection", contract_id=contract, work_date=day, text="Too little.", **trainer)
    create.later(
        "WorkEntry",
        key=customer,
        tenant=customer,
        external_project_id="p1",
        kind="SUBMITTED",
        at=AT,
        work_date=day,
        duration=timedelta(minutes=1),
        access_since=AT,
        observed_at=AT,
        **trainer,
    )


@pytest.fixture(autouse=True)
def back_to_the_newest() -> Iterator[None]:
    yield
    migrate(states()[-1])


def check(customer: str) -> None:
    """Nothing of what ``populate`` made was lost, with the models as they are now."""
    install = Install.objects.get(tenant=customer)
    assert install.token == "ot_ptk_1"
    assert WebhookEvent.objects.get(endpoint__install=install).payload == {"id": "1"}
    grant = AccessGrant.objects.get(contract__install=install)
    assert (grant.participant.work_email, grant.link.external_project_id) == ("m@opentrain.work", "p1")
    assert grant.contract.links.get() == grant.link
    assert DailyUsage.objects.get(contract=grant.contract).total_seconds == 60
    assert TrainerAccount.objects.get(opentrain_user_id=customer).user.get_username() == customer
    # None, for a customer who was there before the table was.
    objections = UsageObjection.objects.filter(contract=grant.contract)
    assert {(each.text, each.status) for each in objections} <= {("Too little.", "OPEN")}
    work = WorkEntry.objects.filter(tenant=customer)
    assert {(each.at, each.duration) for each in work} <= {(AT, timedelta(minutes=1))}


@pytest.mark.timeout(600)
def test_data_of_each_state_goes_forward() -> None:
    """In one pass: each state adds a customer, who is migrated together with those of the states before."""
    migrate(None)
    state = None
    for name in states():
        # What it begins with is what the last one returned: computed anew, it is quadratic.
        state = MigrationExecutor(connection).migrate([(APP, name)], state=state)
        populate(state.apps, name)
    for name in states():
        check(name)
    ledger, objections = states().index("0021_work_ledger"), states().index("0023_objections")
    assert WorkEntry.objects.count() == len(states()) - ledger
    assert UsageObjection.objects.count() == len(states()) - objections


def test_the_newest_state_goes_back_and_forward_again() -> None:
    populate(migrate(states()[-1]), "acme")
    before = [None, *states()][-2]
    migrate(before)
    migrate(states()[-1])
    if before is not None:
        check("acme")


#: What links have kept, and what becomes of it.
REASONS = {
    "AdapterError: The account was deactivated.": ("The account was deactivated.", "CONFLICT"),
    # The host has exceptions of these names, too.
    "NotFound: http://10.0.0.7/": ("NotFound: http://10.0.0.7/", "INTERNAL_ERROR"),
    "KeyError: 'seat'": ("KeyError: 'seat'", "INTERNAL_ERROR"),
    "OpenTrain has no Work Email yet: wait.": ("OpenTrain has no Work Email yet: wait.", "NOTE"),
    "": ("", ""),
}
#: The codes of installs, as they were and as they are.
CODES = {
    "UNAUTHORIZED": "RECONNECT_REQUIRED",
    "FORBIDDEN": "OPENTRAIN_FORBIDDEN",
    "MISSING_SCOPE:usage:write": "MISSING_SCOPE",
    "REVOKED": "REVOKED",
}


def test_a_stored_reason_is_split_into_code_and_text() -> None:
    [codes] = [number for number, name in enumerate(states()) if name.endswith("_error_codes")]
    apps = migrate(states()[codes - 1])
    installs, links = apps.get_model(APP, "Install").objects, apps.get_model(APP, "ProjectLink").objects
    for code in CODES:
        install = installs.create(tenant=code, last_error="Why: it says so.", last_error_code=code)
    for number, text in enumerate(REASONS):
        links.create(install=install, external_project_id=str(number), last_error=text)

    migrate(states()[-1])
    kept = ProjectLink.objects.order_by("pk").values_list("last_error", "last_error_code")
    assert list(kept) == list(REASONS.values())
    assert dict(Install.objects.values_list("tenant", "last_error_code")) == CODES
    assert set(Install.objects.values_list("last_error", flat=True)) == {"Why: it says so."}

    migrate(states()[codes - 1])
    back = dict(installs.values_list("tenant", "last_error_code"))
    assert back == {code: code.partition(":")[0] for code in CODES}


def test_links_that_opentrain_has_are_not_announced_as_new() -> None:
    populate(migrate("0025_tasks_of_work"), "acme")
    migrate(states()[-1])
    link = ProjectLink.objects.get()
    assert link.linked_at == link.created_at


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("state", ["0036_fewer_event_indexes", "0040_fewer_foreign_key_indexes"])
def test_an_index_goes_without_a_look_at_every_row(state: str, backwards: bool) -> None:
    """A foreign key that is made anew is checked for each row, on MariaDB by copying the table."""
    if connection.vendor == "sqlite" and state.startswith("0036"):
        pytest.skip("SQLite copies the table for any other change to a column")
    loader = MigrationExecutor(connection).loader
    statements = loader.collect_sql([(loader.graph.nodes[APP, state], backwards)])
    assert not [each for each in statements if "TABLE" in each]


def indexed_alone() -> set[tuple[str, str]]:
    """Tables and columns that have an index of their own."""
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            for each in connection.introspection.get_constraints(cursor, table).values():
                if each["index"] and not each["unique"] and len(each["columns"]) == 1:
                    found.add((table.removeprefix(f"{APP}_"), each["columns"][0]))
    return found


@pytest.mark.parametrize(
    ("before", "columns"),
    [
        ("0035_endpoint_traffic_index", {("webhookevent", "endpoint_id")}),
        (
            "0039_in_sync_since",
            {(table, "contract_id") for table in ("accessgrant", "dailyusage", "usageobjection")}
            | {(table, "install_id") for table in ("contract", "participant", "projectlink")},
        ),
    ],
)
def test_indexes_that_go_come_back(before: str, columns: set[tuple[str, str]]) -> None:
    newest = indexed_alone()
    migrate(before)
    gone = indexed_alone() - newest
    migrate(states()[-1])
    assert indexed_alone() == newest
    # MySQL and MariaDB never had them: a unique constraint's serves their foreign keys.
    assert gone >= (set() if connection.vendor == "mysql" else columns)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others know no conditions, or don't use them")
def test_events_that_were_processed_are_in_no_index_of_those_that_wait() -> None:
    """Their share of it would be most of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", ["opentrain_event_waiting"])
        [[definition]] = cursor.fetchall()
    assert "WHERE" in definition
    assert "PROCESSED" not in definition
