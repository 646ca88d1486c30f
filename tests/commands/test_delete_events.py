"""``opentrain_delete_events``: old rows go, and nothing that happened is undone by it."""

from __future__ import annotations

from datetime import datetime, timedelta
from datetime import timezone as tz
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_opentrain.models import AccessGrant, Contract, WebhookEvent
from django_opentrain.services import purge
from django_opentrain.services.purge import batches
from django_opentrain.testing.kit import OpenTrain
from tests import factories

pytestmark = pytest.mark.django_db


def run(before: str) -> list[str]:
    out = StringIO()
    call_command("opentrain_delete_events", "--before", before, stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def events() -> list[WebhookEvent]:
    """Of three months of long ago, their bodies purged."""
    endpoint = factories.make_endpoint(factories.make_install())
    moments = [
        datetime(2024, 1, 31, 23, tzinfo=tz.utc),
        *(datetime(2024, m, 1, tzinfo=tz.utc) for m in (2, 2, 4)),
    ]
    rows = [factories.make_event(endpoint, received_at=each, status="PROCESSED") for each in moments]
    WebhookEvent.objects.update(body=None)
    return rows


def test_months_are_deleted_up_to_a_day(events: list[WebhookEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 1)
    assert run("2024-03-15") == ["2024-01: 1 deleted", "2024-02: 2 deleted"]
    assert WebhookEvent.objects.get() == events[-1]
    with pytest.raises(CommandError, match="no such events"):
        run("2024-03-15")


@pytest.mark.parametrize(
    "kept",
    [{"status": "FAILED"}, {"status": "PENDING"}, {"body": b"{}"}],
    ids=lambda kept: next(iter(kept.items())),
)
def test_what_is_needed_stays(events: list[WebhookEvent], kept: dict[str, Any]) -> None:
    row = events[0]
    for name, value in kept.items():
        setattr(row, name, value)
    row.save()
    run("2024-03-15")
    assert set(WebhookEvent.objects.all()) == {row, events[-1]}


@pytest.mark.parametrize(("before", "why"), [("soon", "takes a day"), ("9999-01-01", "90 days are kept")])
def test_what_is_asked_for_has_to_be_long_ago(events: list[WebhookEvent], before: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run(before)
    assert WebhookEvent.objects.count() == len(events)


@pytest.mark.long
def test_a_deleted_event_that_is_sent_again_undoes_nothing(opentrain: OpenTrain, any_project: None) -> None:
    opentrain.connect()
    opentrain.link("p1")
    maria = opentrain.hire()
    opentrain.run()
    [started] = WebhookEvent.objects.filter(type="contract.started")
    endpoint, body, digest = started.endpoint, started.body, started.digest
    opentrain.end(maria)
    opentrain.run()
    opentrain.travel(days=100)
    purge.run()
    run((opentrain.now - timedelta(days=95)).date().isoformat())
    assert not WebhookEvent.objects.filter(type__startswith="contract.").exists()
    factories.make_event(
        endpoint,
        type="contract.started",
        event_id=started.event_id,
        body=body,
        digest=digest,
        resource_id=maria.id,
    )
    opentrain.run()
    assert maria.contract.status == Contract.Status.ENDED
    assert maria.grant.desired == AccessGrant.Desired.REVOKED
