"""No kind of work, and no customer, keeps another waiting for long."""

from __future__ import annotations

import pytest

from django_opentrain.models import AccessGrant, WebhookEvent
from django_opentrain.services import inbox, sweep
from django_opentrain.services.inbox import processing
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_endpoint, make_event, make_install
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db


@pytest.fixture
def flood() -> None:
    """Another customer's events, which came first."""
    endpoint = make_endpoint(make_install("globex"))
    for number in range(400):
        make_event(endpoint, type="contract.ended", event_id=f"f{number}", resource_id=f"f{number}")


@pytest.mark.slow
def test_a_removal_does_not_wait_for_another_customers_events(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch, flood: None
) -> None:
    maria = linked.hire()
    linked.deliver()
    AccessGrant.objects.all().delete()
    inbox.drain()
    linked.run()
    WebhookEvent.objects.filter(endpoint__install__tenant="globex").update(status="PENDING", attempts=0)
    linked.end(maria)
    linked.deliver()
    monkeypatch.setattr(sweep, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(processing, "BATCH_PER_CUSTOMER", 20)
    waiting: list[int] = []

    def note(_grant: AccessGrant) -> None:
        waiting.append(WebhookEvent.objects.filter(status="PENDING").count())

    site.during_call = note
    sweep.run()
    assert maria.grant.state == AccessGrant.State.REVOKED
    assert waiting[0] > 400 - 3 * processing.BATCH_PER_CUSTOMER
    assert not WebhookEvent.objects.filter(status="PENDING").exists()


def test_a_worker_that_is_to_stop_ends_with_the_batch_in_hand(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch, flood: None
) -> None:
    monkeypatch.setattr(processing, "BATCH_PER_CUSTOMER", 10)
    pending = WebhookEvent.objects.filter(status="PENDING")
    before = pending.count()
    done = sweep.run(stopping=lambda: pending.count() < before)
    assert done.events == 10
    assert pending.count() == before - 10
