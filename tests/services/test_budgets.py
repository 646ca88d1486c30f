"""Budgets: the newest counts, in any order, and the host is notified of each change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_opentrain.models import Contract, WebhookEndpoint
from django_opentrain.platform import catalog
from django_opentrain.services import inbox
from django_opentrain.services.access import contracts
from tests.factories import make_contract, make_endpoint, make_event, make_install
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint(make_install())


@pytest.fixture
def contract(endpoint: WebhookEndpoint) -> Contract:
    return make_contract(endpoint.install)


def deliver(
    endpoint: WebhookEndpoint,
    contract: Contract,
    state: object,
    budget: Mapping[str, object] | None = None,
    **values: Any,
) -> Contract:
    """An event about the contract's budget is processed."""
    data = {"contractId": contract.opentrain_id, "budget": {"state": state, **(budget or {})}}
    row = inbox.process(make_event(endpoint, catalog.MILESTONE_BUDGET_LOW, data, **values))
    assert row.status == row.Status.PROCESSED
    contract.refresh_from_db()
    return contract


def test_all_of_a_budget_is_kept(endpoint: WebhookEndpoint, contract: Contract) -> None:
    milestone = {"id": "mst_1", "name": "First", "amountUsd": 100, "volume": 10, "status": "ACTIVE_FUNDED"}
    budget = {
        "paymentType": "PAY_PER_HOUR",
        "fundedVolume": 10,
        "consumedVolume": 8.125,
        "remainingVolume": "1.875",
        "consumedFraction": 0.81254999,
        "activeMilestone": milestone,
    }
    deliver(endpoint, contract, "LOW", budget, event_id="evt_7")
    assert (contract.payment_type, contract.budget_state) == ("PAY_PER_HOUR", "LOW")
    assert (contract.funded_volume, contract.consumed_volume) == (Decimal(10), Decimal("8.125"))
    assert (contract.remaining_volume, contract.consumed_fraction) == (Decimal("1.875"), Decimal("0.8125"))
    assert contract.active_milestone == {"id": "mst_1", "name": "First", "status": "ACTIVE_FUNDED"}
    assert contract.budget_event_id == "evt_7"
    assert contract.budget_updated_at is not None
    deliver(endpoint, contract, "OK", event_id="evt_8")
    assert (contract.funded_volume, contract.active_milestone) == (None, None)


def test_a_state_that_opentrain_adds_one_day_warns_nobody(
    endpoint: WebhookEndpoint, contract: Contract
) -> None:
    assert deliver(endpoint, contract, "FROZEN").budget_state == "OK"


def test_a_late_event_does_not_undo_a_newer_one(endpoint: WebhookEndpoint, contract: Contract) -> None:
    assert deliver(endpoint, contract, "DEPLETED", event_id="evt_10").budget_state == "DEPLETED"
    assert deliver(endpoint, contract, "LOW", event_id="evt_9").budget_state == "DEPLETED"
    assert deliver(endpoint, contract, "OK", event_id="evt_11").budget_state == "OK"


def test_an_event_without_an_id_or_a_time_counts(endpoint: WebhookEndpoint, contract: Contract) -> None:
    Contract.objects.update(budget_updated_at=timezone.now())
    data = {"contractId": contract.opentrain_id, "budget": {"state": "LOW"}}
    body = json.dumps({"type": catalog.MILESTONE_BUDGET_LOW, "data": data}).encode()
    assert deliver(endpoint, contract, "LOW", event_id="", body=body).budget_state == "LOW"


@pytest.mark.parametrize(("minutes", "state"), [(6, "LOW"), (4, "OK")])
def test_an_event_from_before_opentrain_was_asked_is_old_news(
    endpoint: WebhookEndpoint, contract: Contract, minutes: int, state: str
) -> None:
    """But OpenTrain's clock and ours may differ a little."""
    Contract.objects.update(budget_state="LOW", budget_updated_at=timezone.now() + timedelta(minutes=minutes))
    assert deliver(endpoint, contract, "OK").budget_state == state


def test_an_event_about_a_budget_that_cannot_be_read_makes_us_ask(
    endpoint: WebhookEndpoint, contract: Contract
) -> None:
    other = make_contract(endpoint.install)
    Contract.objects.update(budget_state="LOW", budget_updated_at=timezone.now())
    deliver(endpoint, contract, None)
    assert (contract.budget_state, contract.budget_updated_at) == ("LOW", None)
    other.refresh_from_db()
    assert other.budget_updated_at is not None
    endpoint.install.refresh_from_db()
    assert endpoint.install.next_reconcile_at is not None


# Telling the host -----------------------------------------------------------------------------


def test_a_host_that_fails_is_told_again(
    contract: Contract, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    Contract.objects.update(budget_state="LOW")
    site.failing["budget_changed"] = RuntimeError("a bad day")
    assert contracts.announce_budgets() == 0
    assert "RuntimeError: a bad day" in caplog.text
    site.failing.clear()
    assert contracts.announce_budgets() == 0, "it waits, as all that fails"
    Contract.objects.update(next_announce_at=timezone.now())
    assert contracts.announce_budgets() == 1
    contract.refresh_from_db()
    assert (contract.announce_attempts, contract.announce_error) == (0, "")
    assert site.budgets == [("OK", "LOW")]
    assert contracts.announce_budgets() == 0


def test_each_contract_is_told_of_by_itself(contract: Contract, site: Host) -> None:
    make_contract(contract.install, budget_state="DEPLETED")
    Contract.objects.filter(pk=contract.pk).update(budget_state="LOW")
    assert contracts.announce_budgets() == 2
    assert sorted(site.budgets) == [("OK", "DEPLETED"), ("OK", "LOW")]
    assert contracts.announce_budgets() == 0


def test_nobody_is_told_of_a_contract_that_has_ended(contract: Contract, site: Host) -> None:
    Contract.objects.update(budget_state="LOW", status=Contract.Status.ENDED)
    assert contracts.announce_budgets() == 0
    assert site.budgets == []
