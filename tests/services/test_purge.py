"""Forgetting: what is past its retention, and never what is still needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    DailyUsage,
    Install,
    Participant,
    ProjectLink,
    WebhookEvent,
)
from django_opentrain.services import inbox, purge, reconcile
from django_opentrain.services.purge import batches, retention
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.played import a_customer

pytestmark = pytest.mark.django_db

OLD = timedelta(days=31)
NEW = timedelta(days=29)
GONE = {"desired": AccessGrant.Desired.REVOKED, "state": AccessGrant.State.REVOKED}
NOTHING = purge.Purged()


@pytest.fixture
def install() -> Install:
    return factories.make_install()


def event(install: Install, ago: timedelta = OLD, status: str = "PROCESSED", **values: Any) -> WebhookEvent:
    endpoint = install.webhook_endpoints.first() or factories.make_endpoint(install)
    return factories.make_event(endpoint, received_at=timezone.now() - ago, status=status, **values)


def former(install: Install, ago: timedelta = OLD, **grant: Any) -> tuple[Participant, Contract]:
    """A trainer whose contract ended so long ago, whose access is gone, and whose hours are reported."""
    person, link = factories.make_participant(install), factories.make_link(install)
    contract = factories.make_contract(
        install, [link], status=Contract.Status.ENDED, ended_at=timezone.now() - ago, trainer=person
    )
    factories.make_grant(contract, link, person, **{**GONE, **grant})
    Participant.objects.filter(pk=person.pk).update(updated_at=timezone.now() - ago)
    return person, contract


def is_forgotten(person: Participant) -> bool:
    person.refresh_from_db()
    kept = (person.display_name, person.country, person.profile_url, person.work_email)
    assert any(kept) is not (person.purged_at is not None), "half forgotten"
    return not any(kept)


# Event bodies ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["PROCESSED", "IGNORED"])
def test_bodies_of_settled_events_are_emptied_and_the_rows_stay(install: Install, status: str) -> None:
    row = event(install, status=status)
    assert purge.run().event_bodies == 1
    row.refresh_from_db()
    assert (row.body, row.payload, row.status) == (None, {}, status)
    assert row.event_id
    assert purge.run() == NOTHING


@pytest.mark.parametrize(("ago", "status"), [(NEW, "PROCESSED"), (OLD, "PENDING"), (OLD, "FAILED")])
def test_bodies_that_are_needed_stay(install: Install, ago: timedelta, status: str) -> None:
    row = event(install, ago, status)
    assert purge.run() == NOTHING
    row.refresh_from_db()
    assert row.payload


def test_bodies_are_emptied_in_batches(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    for _number in range(5):
        event(install)
    sizes: list[int] = []
    empty = retention.empty_bodies

    def empty_and_note(rows: QuerySet[WebhookEvent]) -> int:
        sizes.append(rows.count())
        return empty(rows)

    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(retention, "empty_bodies", empty_and_note)
    assert purge.run().event_bodies == 5
    assert sizes == [2, 2, 1]


def test_what_is_replayed_meanwhile_keeps_its_body(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    row = event(install)
    empty = retention.empty_bodies

    def replay_first(rows: QuerySet[WebhookEvent]) -> int:
        inbox.replay(WebhookEvent.objects.filter(pk=row.pk))
        return empty(rows)

    monkeypatch.setattr(retention, "empty_bodies", replay_first)
    assert purge.run().event_bodies == 0
    row.refresh_from_db()
    assert row.payload


def test_each_batch_goes_on_where_the_last_one_ended(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [event(install) for _number in range(3)]
    monkeypatch.setattr(batches, "BATCH", 2)
    with CaptureQueriesContext(connection) as queries:
        purge.run()
    table = WebhookEvent._meta.db_table
    looks = [each["sql"] for each in queries if each["sql"].startswith("SELECT") and table in each["sql"]]
    assert f" > {rows[1].pk}" in looks[1]


def test_bodies_of_one_moment_are_emptied_in_batches(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _number in range(5):
        event(install)
    WebhookEvent.objects.update(received_at=timezone.now() - OLD)
    monkeypatch.setattr(batches, "BATCH", 2)
    assert purge.run().event_bodies == 5


def test_the_oldest_bodies_are_found_by_an_index(install: Install) -> None:
    """And not by reading all rows in the order of their keys, however many are emptied already."""
    if connection.vendor != "postgresql":
        pytest.skip("The plan is PostgreSQL's; others are measured by benchmarks/purge.py")
    event(install)
    with connection.cursor() as cursor:
        # Of few rows all are read, by whatever plan.
        cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as queries:
        purge.run()
    look = next(each["sql"] for each in queries if '"body" IS NOT NULL' in each["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {look}")
        plan = "\n".join(line for [line] in cursor.fetchall())
    assert "opentrain_event_purgeable" in plan, plan


# People ---------------------------------------------------------------------------------------


def test_former_trainers_are_forgotten_and_their_ids_stay(install: Install) -> None:
    person, _contract = former(install)
    assert purge.run().participants == 1
    assert is_forgotten(person)
    assert person.opentrain_user_id
    assert purge.run() == NOTHING


def test_the_names_of_former_trainers_go_from_the_admins_history(install: Install) -> None:
    person, _contract = former(install)
    current = factories.make_participant(install)
    user = factories.make_user(is_staff=True)
    rows = (person, AccessGrant.objects.get(), install, current)
    for row in rows:
        LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(row),
            object_id=str(row.pk),
            object_repr=str(row),
            action_flag=CHANGE,
        )
    purge.run()
    named = person.opentrain_user_id
    shown = list(LogEntry.objects.order_by("pk").values_list("object_repr", flat=True))
    assert shown == [named, named, str(install), current.display_name]


def test_somebody_who_was_never_hired_is_forgotten(install: Install) -> None:
    person = factories.make_participant(install)
    Participant.objects.update(updated_at=timezone.now() - OLD)
    purge.run()
    assert is_forgotten(person)


def test_somebody_who_came_lately_and_is_not_hired_yet_stays(install: Install) -> None:
    person = factories.make_participant(install)
    assert purge.run() == NOTHING
    assert not is_forgotten(person)


def test_somebody_elses_work_keeps_nobody(install: Install) -> None:
    person, _contract = former(install)
    other, link = factories.make_participant(install), factories.make_link(install)
    current = factories.make_contract(install, [link], trainer=other)
    factories.make_grant(current, link, other)
    factories.make_usage(current)
    assert purge.run() == purge.Purged(participants=1)
    assert is_forgotten(person)
    assert not is_forgotten(other)


def test_people_whose_contract_ended_lately_stay(install: Install) -> None:
    person, _contract = former(install, NEW)
    purge.run()
    assert not is_forgotten(person)


def test_an_end_whose_time_is_not_known_is_not_long_ago(install: Install) -> None:
    person, _contract = former(install)
    Contract.objects.update(ended_at=None)
    purge.run()
    assert not is_forgotten(person)


@pytest.mark.parametrize(
    "grant",
    [
        {"desired": AccessGrant.Desired.GRANTED, "state": AccessGrant.State.GRANTED},
        {"desired": AccessGrant.Desired.REVOKED, "state": AccessGrant.State.GRANTED},
        {"desired": AccessGrant.Desired.REVOKED, "state": AccessGrant.State.FAILED},
        {"desired": AccessGrant.Desired.GRANTED, "state": AccessGrant.State.REVOKED},
    ],
    ids=lambda values: f"{values['state']}→{values['desired']}",
)
def test_people_with_access_or_with_access_to_remove_stay(install: Install, grant: Any) -> None:
    person, _contract = former(install, **grant)
    purge.run()
    assert not is_forgotten(person)


@pytest.mark.parametrize("status", ["ACTIVE", "lately ended"])
@pytest.mark.parametrize("by", ["grant", "trainer"])
def test_people_with_another_contract_stay(install: Install, status: str, by: str) -> None:
    person, _contract = former(install)
    link = factories.make_link(install)
    values = {} if status == "ACTIVE" else {"status": Contract.Status.ENDED, "ended_at": timezone.now() - NEW}
    contract = factories.make_contract(install, [link], trainer=person if by == "trainer" else None, **values)
    if by == "grant":
        factories.make_grant(contract, link, person, **GONE)
    purge.run()
    assert not is_forgotten(person)


@pytest.mark.parametrize(("ago", "forgotten"), [(NEW, False), (OLD, True)])
@pytest.mark.parametrize("gone", ["connection", "link"])
def test_people_whose_contract_nobody_will_tell_the_end_of_are_forgotten(
    install: Install, gone: str, ago: timedelta, forgotten: bool
) -> None:
    person, _contract = former(install)
    Contract.objects.update(status=Contract.Status.ACTIVE, ended_at=None, created_at=timezone.now() - OLD)
    purge.run()
    assert not is_forgotten(person)
    if gone == "connection":
        Install.objects.update(status=Install.Status.REVOKED, revoked_at=timezone.now() - ago, token=None)
    else:
        ProjectLink.objects.update(live=None, removed_at=timezone.now() - ago)
    purge.run()
    assert is_forgotten(person) is forgotten


@pytest.mark.parametrize(("status", "forgotten"), [("DUE", False), ("REPORTED", True), ("REFUSED", True)])
def test_people_whose_hours_are_not_reported_stay(install: Install, status: str, forgotten: bool) -> None:
    person, contract = former(install)
    factories.make_usage(contract, status=DailyUsage.Status(status))
    purge.run()
    assert is_forgotten(person) is forgotten


def test_people_whose_hours_nobody_can_report_any_more_are_forgotten(install: Install) -> None:
    person, contract = former(install)
    factories.make_usage(contract)
    Install.objects.update(status=Install.Status.DISCONNECTED)
    purge.run()
    assert not is_forgotten(person), "the last report is under way: the token is still there"
    Install.objects.update(token=None)
    purge.run()
    assert is_forgotten(person)


@pytest.mark.long
def test_a_new_hire_brings_the_data_back(opentrain: OpenTrain, settings: Any, site: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.services.conftest.RecordingAdapter"}
    a_customer(opentrain)
    opentrain.link("p1")
    first = opentrain.hire("Maria S.")
    opentrain.run()
    opentrain.end(first)
    opentrain.run()
    opentrain.travel(days=32)
    assert purge.run().participants == 1
    assert is_forgotten(first.participant)
    second = opentrain.hire(again=first)
    opentrain.run()
    assert not is_forgotten(second.participant)
    assert second.participant.work_email == first.work_email
    assert second.grant.state == AccessGrant.State.GRANTED


@pytest.mark.long
def test_an_end_that_is_found_again_brings_nothing_back(
    opentrain: OpenTrain, settings: Any, site: Any
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.services.conftest.RecordingAdapter"}
    a_customer(opentrain)
    opentrain.link("p1")
    maria = opentrain.hire("Maria S.")
    opentrain.run()
    opentrain.end(maria)
    opentrain.run()
    retention.anonymize(Participant.objects.all())
    Contract.objects.all().delete()
    reconcile.request_all()
    opentrain.run()
    assert maria.contract.status == Contract.Status.ENDED
    assert is_forgotten(maria.participant)


# Unfinished connections -----------------------------------------------------------------------


@pytest.mark.parametrize(("ago", "left"), [(timedelta(days=2), 0), (timedelta(hours=2), 1)])
def test_consents_that_nobody_came_back_from_are_deleted(ago: timedelta, left: int) -> None:
    factories.make_consent_request(factories.make_user(), expires_at=timezone.now() - ago)
    purge.run()
    assert ConsentRequest.objects.count() == left


@pytest.mark.parametrize(
    ("status", "days", "left"), [("PENDING", 8, 0), ("PENDING", 6, 1), ("REVOKED", 99, 1)]
)
def test_installs_that_never_got_a_token_are_deleted(status: str, days: int, left: int) -> None:
    factories.make_install(status=status)
    Install.objects.update(created_at=timezone.now() - timedelta(days=days))
    purge.run()
    assert Install.objects.count() == left


def test_unfinished_connections_are_deleted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    user = factories.make_user()
    for _number in range(5):
        factories.make_consent_request(user, expires_at=timezone.now() - OLD)
        factories.make_install(status="PENDING")
    Install.objects.update(created_at=timezone.now() - OLD)
    with CaptureQueriesContext(connection) as queries:
        done = purge.run()
    assert (done.consent_requests, done.pending_installs) == (5, 5)
    for model in (ConsentRequest, Install):
        table = connection.ops.quote_name(model._meta.db_table)
        deletions = [each for each in queries if each["sql"].startswith(f"DELETE FROM {table}")]
        assert len(deletions) == 3


def test_what_is_overdue_is_what_a_run_would_empty(install: Install) -> None:
    event(install)
    event(install, ago=OLD + retention.OVERDUE + timedelta(days=2))  # too long ago to be looked for
    former(install)
    assert purge.overdue(timezone.now()) == purge.Purged(event_bodies=1, participants=1)
    assert purge.overdue(timezone.now() - timedelta(days=2)) == NOTHING
    assert purge.run().event_bodies == 2
    assert purge.overdue(timezone.now()) == NOTHING
