"""Upgrades: data of every migration state goes forward to the newest, and the newest state goes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from django_opentrain import migrations
from django_opentrain.models import AccessGrant, DailyUsage, Install, ProjectLink, WebhookEvent

APP = "django_opentrain"
MIGRATIONS = Path(migrations.__file__).parent
pytestmark = [pytest.mark.django_db(transaction=True)]


def states() -> list[str]:
    """The names of our migrations, in order."""
    loader = MigrationExecutor(connection).loader
    [leaf] = [key for key in loader.graph.leaf_nodes() if key[0] == APP]
    return [name for app, name in loader.graph.forwards_plan(leaf) if app == APP]


def migrate(name: str | None) -> Any:
    """Go to this state (None: before the first); returns its historical apps."""
    MigrationExecutor(connection).migrate([(APP, name)])
    return MigrationExecutor(connection).loader.project_state([(APP, name)] if name else []).apps


def populate(apps: Any) -> None:
    """One row of each aggregate that was there from the first state on, with every secret filled."""

    def create(model: str, **values: Any) -> Any:
        return apps.get_model(APP, model).objects.create(**values)

    install = create(
        "Install", tenant="acme", opentrain_id="ins_1", status="ACTIVE", token="ot_ptk_1", scopes=["a:b"]
    )
    link = create(
        "ProjectLink", install=install, opentrain_id="lnk_1", external_project_id="p1", status="ACTIVE"
    )
    person = create("Participant", install=install, opentrain_user_id="usr_1", work_email="m@opentrain.work")
    contract = create("Contract", install=install, opentrain_id="ctr_1", trainer=person)
    contract.links.add(link)
    create("AccessGrant", contract=contract, link=link, participant=person, state="GRANTED")
    create("DailyUsage", contract=contract, work_date=date(2026, 11, 1), total_seconds=60)
    endpoint = create("WebhookEndpoint", install=install, secret="whsec_1", status="ACTIVE")
    create(
        "WebhookEvent",
        endpoint=endpoint,
        digest="d" * 64,
        body=b'{"id": "1"}',
        received_at=datetime(2026, 11, 1, tzinfo=timezone.utc),
    )


@pytest.fixture(autouse=True)
def back_to_the_newest() -> Iterator[None]:
    yield
    migrate(states()[-1])


def check() -> None:
    """Nothing of what ``populate`` made was lost, with the models as they are now."""
    assert Install.objects.get().token == "ot_ptk_1"
    assert WebhookEvent.objects.get().payload == {"id": "1"}
    grant = AccessGrant.objects.get()
    assert (grant.participant.work_email, grant.link.external_project_id) == ("m@opentrain.work", "p1")
    assert grant.contract.links.get() == grant.link
    assert DailyUsage.objects.get().total_seconds == 60


# A test for each: all of them in one take minutes on a busy machine.
@pytest.mark.parametrize("name", sorted(file.stem for file in MIGRATIONS.glob("[0-9]*.py")))
def test_data_of_each_state_goes_forward(name: str) -> None:
    migrate(None)
    populate(migrate(name))
    migrate(states()[-1])
    check()


def test_the_newest_state_goes_back_and_forward_again() -> None:
    populate(migrate(states()[-1]))
    before = [None, *states()][-2]
    migrate(before)
    migrate(states()[-1])
    if before is not None:
        check()


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
    populate(migrate("0025_tasks_of_work"))
    migrate(states()[-1])
    link = ProjectLink.objects.get()
    assert link.linked_at == link.created_at
