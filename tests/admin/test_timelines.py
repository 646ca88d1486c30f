"""Timelines: what happened to a row, in what order, why, and no more than the reader may view."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain.admin.timelines import MAX_ENTRIES, Entry
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Heartbeat,
    Install,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.services import usage
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.browsing import CAUSE, confirm, text_of, url
from tests.admin.conftest import EMAIL, HOSTILE, Scene, logged_in, make_scene

TOLD_OF = (Install, Contract, AccessGrant, WebhookEndpoint, WebhookEvent)
each_model = pytest.mark.parametrize("model", TOLD_OF, ids=lambda model: model.__name__)


def timeline(client: Client, row: models.Model) -> Sequence[Entry]:
    response = client.get(url(type(row), "change", row.pk))
    assert response.status_code == 200
    entries: Sequence[Entry] = response.context["opentrain_timeline"].entries
    return entries


def said(entries: Sequence[Entry], what: str) -> Entry:
    """The newest entry that says this."""
    return next(entry for entry in entries if entry.what == what)


def ago(**units: int) -> datetime:
    return timezone.now() - timedelta(**units)


@pytest.fixture
def client(superuser: User) -> Client:
    return logged_in(superuser)


# What is in them --------------------------------------------------------------------------------


@pytest.mark.long
def test_a_grants_timeline_says_what_made_it_desired_and_what_became_of_it(
    opentrain: OpenTrain, hire: Hire, client: Client, operator: User
) -> None:
    started = WebhookEvent.objects.get(type=catalog.CONTRACT_STARTED)
    entries = timeline(client, hire.grant)
    assert [entry.at for entry in entries] == sorted((entry.at for entry in entries), reverse=True)
    wanted = said(entries, "Should have access")
    assert wanted.by == f"event {started.event_id} {started.type}"
    assert wanted.by_url == url(WebhookEvent, "change", started.pk)
    received = said(entries, "Event received")
    assert (received.url, received.row) == (wanted.by_url, str(started))
    assert received.detail == "processed: 1 attempt"
    assert said(entries, "Access granted").url == ""
    assert said(entries, "Project linked").url == url(ProjectLink, "change", hire.grant.link.pk)

    opentrain.travel(minutes=5)
    confirm(logged_in(operator), hire.grant, "revoke")
    opentrain.run()
    entries = timeline(client, hire.grant)
    assert said(entries, "Should have no access").by == CAUSE
    assert said(entries, "Access revoked").at >= said(entries, "Should have no access").at
    person = said(entries, f"Revoke access ({CAUSE})")
    assert person.by == "ada"
    # Its cause is the newest one's. Why it was given first, the event beside it says.
    assert said(entries, "First recorded").at < said(entries, "Should have no access").at


def test_a_grant_that_fails_says_how_often_it_was_tried_and_when_it_is_next(
    scene: Scene, client: Client
) -> None:
    grant = scene[AccessGrant]
    AccessGrant.objects.update(attempts=3, desired_at=ago(hours=1))
    entry = timeline(client, grant)[0]
    assert (entry.what, entry.tone, entry.is_ahead) == ("Next attempt", "bad", True)
    assert entry.detail.startswith("3 attempts: PermissionError: m•••@opentrain.work may not")


@pytest.mark.long
def test_an_events_timeline_has_its_attempts_its_deliveries_and_what_it_caused(
    opentrain: OpenTrain, hire: Hire, client: Client
) -> None:
    event = WebhookEvent.objects.get(type=catalog.CONTRACT_STARTED)
    again = factories.make_event(event.endpoint, event_id=event.event_id, status="IGNORED", error="Known.")
    entries = timeline(client, event)
    assert said(entries, "Processed").detail == "1 attempt"
    assert said(entries, "Access granted").url == url(AccessGrant, "change", hire.grant.pk)
    others = [entry for entry in entries if entry.what == "Event received" and entry.url]
    assert [(entry.url, entry.detail) for entry in others] == [
        (url(WebhookEvent, "change", again.pk), "ignored: Known.")
    ]
    assert said(entries, "Endpoint created").url == url(WebhookEndpoint, "change", event.endpoint_id)


@pytest.mark.long
def test_the_timeline_of_an_event_about_a_link_has_the_access_that_ended_with_it(
    opentrain: OpenTrain, hire: Hire, client: Client
) -> None:
    hire.contract.install.client.delete_project_link(str(hire.grant.link.opentrain_id))
    opentrain.run()
    event = WebhookEvent.objects.get(type=catalog.PROJECT_LINK_REMOVED)
    entry = said(timeline(client, event), "Access revoked")
    assert entry.url == url(AccessGrant, "change", hire.grant.pk)


@pytest.mark.long
def test_a_contracts_timeline_has_budgets_usage_and_access(
    opentrain: OpenTrain, hire: Hire, client: Client
) -> None:
    usage.record(hire.contract, opentrain.today, total_seconds=3600)
    opentrain.run()
    entries = timeline(client, hire.contract)
    assert said(entries, "Day reported").url == url(DailyUsage, "change", DailyUsage.objects.get().pk)
    assert said(entries, "Access granted").url == url(AccessGrant, "change", hire.grant.pk)
    assert said(entries, "Usage reported").tone == "good"
    assert said(entries, "Budget updated").by == "sync"
    assert said(entries, "Event received").row.startswith("contract.started")

    DailyUsage.objects.update(status=DailyUsage.Status.REFUSED, error="too many hours")
    assert said(timeline(client, hire.contract), "Day refused by OpenTrain").detail == "too many hours"


@pytest.mark.parametrize(
    ("received", "processed", "by"), [(60, 30, "event evt_7"), (60, 50, "sync"), (30, 20, "sync")]
)
def test_a_budgets_cause_is_the_event_only_if_that_was_processed_just_then(
    received: int, processed: int, by: str, scene: Scene, client: Client
) -> None:
    Contract.objects.update(budget_updated_at=ago(minutes=45), budget_event_id="evt_7")
    event = factories.make_event(
        scene[WebhookEndpoint],
        catalog.MILESTONE_BUDGET_LOW,
        event_id="evt_7",
        resource_id="mst_1",
        received_at=ago(minutes=received),
        processed_at=ago(minutes=processed),
    )
    entry = said(timeline(client, scene[Contract]), "Budget updated")
    assert entry.by == by
    assert entry.by_url == (url(WebhookEvent, "change", event.pk) if by != "sync" else "")


def test_an_endpoints_timeline_has_its_health_and_its_events(scene: Scene, client: Client) -> None:
    WebhookEndpoint.objects.update(
        disabled_at=ago(hours=2), checked_at=ago(minutes=1), status=WebhookEndpoint.Status.DISABLED
    )
    entries = timeline(client, scene[WebhookEndpoint])
    assert said(entries, "Disabled by OpenTrain").detail.startswith("10 failures: PermissionError: m•••@")
    assert said(entries, "Checked at OpenTrain").tone == "bad"
    assert said(entries, "Event received").url == url(WebhookEvent, "change", scene[WebhookEvent].pk)


def test_a_connections_timeline_has_its_syncs_and_what_belongs_to_it(scene: Scene, client: Client) -> None:
    Install.objects.update(reconciled_at=ago(minutes=3))
    Contract.objects.update(ended_at=ago(minutes=2))
    other = factories.make_contract(factories.make_install(tenant="other"), ended_at=ago(minutes=1))
    entries = timeline(client, scene[Install])
    assert said(entries, "Began to connect").by == "Photos"
    assert said(entries, "Synced").detail == "Changes: 1, held: 0, problems: 1"
    assert said(entries, "Contract ended").url == url(Contract, "change", scene[Contract].pk)
    assert said(entries, "Scheduled work ran").url == url(Heartbeat, "change", scene[Heartbeat].pk)
    assert url(Contract, "change", other.pk) not in {entry.url for entry in entries}


# How they are shown -----------------------------------------------------------------------------


@each_model
def test_a_timeline_is_an_ordered_list_of_times_with_links(
    model: type[models.Model], scene: Scene, client: Client
) -> None:
    row = scene[model]
    page = text_of(client.get(url(model, "change", row.pk)))
    shown = re.search(r'<ol class="opentrain-timeline" aria-labelledby="(.+?)">(.*?)</ol>', page, re.DOTALL)
    assert shown
    assert f'<h2 id="{shown[1]}">Timeline</h2>' in page
    items = re.findall(r"<li.*?</li>", shown[2], re.DOTALL)
    assert len(items) == len(timeline(client, row)) - (model is WebhookEvent)  # the view of its body
    for item in items:
        assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT[^"]+">[^<]+</time> <span>[^<]+</span>', item)


@each_model
def test_what_a_timeline_says_is_masked_and_escaped(model: type[models.Model], superuser: User) -> None:
    scene = make_scene(text=HOSTILE)
    AccessGrant.objects.update(desired_at=timezone.now(), cause=f"operator {HOSTILE} {EMAIL}")
    page = text_of(logged_in(superuser).get(url(model, "change", scene[model].pk)))
    shown = page.partition('<ol class="opentrain-timeline"')[2].partition("</ol>")[0]
    assert shown
    assert HOSTILE not in shown
    assert EMAIL not in shown


@each_model
def test_a_timeline_shows_only_what_its_reader_may_view(model: type[models.Model], scene: Scene) -> None:
    reader = factories.make_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename=f"view_{model._meta.model_name}"))
    AccessGrant.objects.update(desired_at=timezone.now(), cause="event 1 contract.started")
    entries = timeline(logged_in(reader), scene[model])
    assert entries
    others = {entry.url for entry in entries} - {""}
    assert all(f"/{model._meta.model_name}/" in each for each in others)


def test_a_timeline_shows_no_other_customers_events(scene: Scene, client: Client) -> None:
    """A body can name any resource, whose endpoint it ever came to."""
    other = factories.make_endpoint(factories.make_install(tenant="other"))
    foreign = factories.make_event(other, resource_id=scene[Contract].opentrain_id)
    for row in (scene[Contract], scene[AccessGrant]):
        addresses = {entry.url for entry in timeline(client, row)}
        assert url(WebhookEvent, "change", foreign.pk) not in addresses


def grow(scene: Scene, rows: int) -> None:
    """More of everything that belongs to the scene's rows."""
    install, link, now = scene[Install], scene[ProjectLink], timezone.now()
    for _ in range(rows):
        person = factories.make_participant(install)
        contract = factories.make_contract(install, [link], ended_at=now)
        event = factories.make_event(scene[WebhookEndpoint], resource_id=scene[Contract].opentrain_id)
        factories.make_event(scene[WebhookEndpoint], event_id=scene[WebhookEvent].event_id)
        factories.make_grant(contract, link, person, desired_at=now)
        factories.make_grant(
            scene[Contract], link, person, desired_at=now, cause=f"event {event.event_id} {event.type}"
        )
        factories.make_usage(scene[Contract], worker_id=person.opentrain_user_id, reported_at=now)


@pytest.mark.long
@each_model
def test_a_timeline_is_bounded_and_says_so_and_its_cost_does_not_grow(
    model: type[models.Model], scene: Scene, client: Client
) -> None:
    address = url(model, "change", scene[model].pk)
    grow(scene, 1)
    assert "Only the newest" not in text_of(client.get(address))
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    grow(scene, MAX_ENTRIES + 1)
    with CaptureQueriesContext(connection) as many:
        page = text_of(client.get(address))
    assert len(many) == len(few)
    assert f"Only the newest {MAX_ENTRIES} entries are shown." in page
    assert page.count("<time datetime=") >= MAX_ENTRIES
    assert len(timeline(client, scene[model])) == MAX_ENTRIES
