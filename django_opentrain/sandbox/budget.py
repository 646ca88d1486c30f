"""Budgets: what is funded, what is used up, and when that crosses a threshold.

Source: platform-api, "GET /contracts/{id}/budget": OK below 0.8, LOW from 0.8, DEPLETED from 1.0;
fixed-price and unfunded contracts are always OK.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django_opentrain.platform import catalog
from django_opentrain.sandbox.models import MILESTONE_FUNDED, Contract, Milestone, Usage
from django_opentrain.sandbox.payloads import MILESTONE, Json, as_json, number, plain
from django_opentrain.sandbox.store import Store

_LOW_FROM = Decimal(str(catalog.BUDGET_LOW_FRACTION))
_DEPLETED_FROM = Decimal(1)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A contract's budget, exact; volumes are hours or labels, by payment type."""

    contract: Contract
    funded_volume: Decimal
    funded_amount_usd: Decimal
    seconds: int
    labels: int
    tasks: int
    active_milestone: Milestone | None

    @property
    def hours(self) -> Decimal:
        return Decimal(self.seconds) / 3600

    @property
    def consumed_volume(self) -> Decimal:
        if self.contract.payment_type == catalog.PAY_PER_HOUR:
            return self.hours
        if self.contract.payment_type == catalog.PAY_PER_LABEL:
            return Decimal(self.labels)
        return Decimal(0)

    @property
    def fraction(self) -> Decimal:
        """How much of the funded volume is used up; 0 where nothing is measured or funded."""
        return self.consumed_volume / self.funded_volume if self.funded_volume else Decimal(0)

    @property
    def state(self) -> str:
        if self.fraction >= _DEPLETED_FROM:
            return catalog.BUDGET_DEPLETED
        return catalog.BUDGET_LOW if self.fraction >= _LOW_FROM else catalog.BUDGET_OK

    def shown(self) -> Json:
        """The budget object of the API. The fraction is cut, not rounded up, so that it never
        shows a threshold that the state hasn't reached."""
        contract, milestone = self.contract, self.active_milestone
        remaining = max(Decimal(0), self.funded_volume - self.consumed_volume)
        return {
            "contractId": contract.id,
            "paymentType": contract.payment_type,
            "state": self.state,
            "fundedVolume": number(self.funded_volume),
            "fundedAmountUsd": number(self.funded_amount_usd),
            "consumed": {
                "seconds": self.seconds,
                "hours": number(self.hours),
                "labels": self.labels,
                "tasks": self.tasks,
            },
            "consumedVolume": number(self.consumed_volume),
            "remainingVolume": number(remaining),
            "consumedFraction": number(self.fraction),
            "activeMilestone": None if milestone is None else as_json(milestone, MILESTONE),
            "lastUsageAt": plain("last_usage_at", contract.last_usage_at),
        }


def budget_of(store: Store, contract: Contract) -> Budget:
    """The budget as of now. Every milestone kept here is funded or completed."""
    milestones = store.owned(Milestone, contract.id)
    usage = store.owned(Usage, contract.id)
    measured = contract.payment_type in {catalog.PAY_PER_HOUR, catalog.PAY_PER_LABEL}
    active = [milestone for milestone in milestones if milestone.status == MILESTONE_FUNDED]
    return Budget(
        contract=contract,
        funded_volume=sum((each.volume or Decimal(0) for each in milestones), Decimal(0))
        if measured
        else Decimal(0),
        funded_amount_usd=sum((each.amount_usd for each in milestones), Decimal(0)),
        seconds=sum(each.total_seconds for each in usage),
        labels=sum(each.labels_completed for each in usage),
        tasks=sum(each.tasks_completed for each in usage),
        active_milestone=active[-1] if active else None,
    )


def crossed(before: Decimal, after: Decimal) -> list[str]:
    """The event types for the thresholds between two fractions, upward only."""
    thresholds = (
        (_LOW_FROM, catalog.MILESTONE_BUDGET_LOW),
        (_DEPLETED_FROM, catalog.MILESTONE_BUDGET_DEPLETED),
    )
    return [event for limit, event in thresholds if before < limit <= after]
