"""Funded work, and how much of it is used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django_opentrain.platform.resources.base import Resource
from django_opentrain.platform.values import (
    NAME_LENGTH,
    Fields,
    as_choice,
    as_count,
    as_datetime,
    as_decimal,
    as_id,
    as_text,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumed(Resource):
    """Work reported under a contract so far; None where OpenTrain sent none."""

    seconds: int | None = None
    hours: Decimal | None = None
    labels: int | None = None
    tasks: int | None = None

    @classmethod
    def from_json(cls, data: object) -> Consumed:
        """Raises ``MalformedResource`` when ``data`` is not an object."""
        fields = Fields(data, "consumed")
        return cls(
            seconds=as_count(fields.get("seconds")),
            hours=as_decimal(fields.get("hours")),
            labels=as_count(fields.get("labels")),
            tasks=as_count(fields.get("tasks")),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MilestoneInfo(Resource):
    """A piece of funded work. ``volume`` is hours or labels by the contract's payment type."""

    id: str
    name: str = ""
    amount_usd: Decimal | None = None
    volume: Decimal | None = None
    status: str = ""

    @classmethod
    def from_json(cls, data: object) -> MilestoneInfo:
        """Raises ``MalformedResource`` without ``id``."""
        fields = Fields(data, "milestone")
        return cls(
            id=fields.required("id", as_id),
            name=as_text(fields.get("name"), NAME_LENGTH),
            amount_usd=as_decimal(fields.get("amountUsd")),
            volume=as_decimal(fields.get("volume")),
            status=as_choice(fields.get("status")),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetInfo(Resource):
    """How much of a contract's funded work is used up. Volumes are hours or labels by ``payment_type``.

    ``contract_id`` is "" where a webhook's budget doesn't repeat it.
    """

    contract_id: str = ""
    payment_type: str = ""
    state: str
    funded_volume: Decimal | None = None
    funded_amount_usd: Decimal | None = None
    consumed: Consumed = Consumed()
    consumed_volume: Decimal | None = None
    remaining_volume: Decimal | None = None
    consumed_fraction: Decimal | None = None
    active_milestone: MilestoneInfo | None = None
    last_usage_at: datetime | None = None

    @classmethod
    def from_json(cls, data: object) -> BudgetInfo:
        """Raises ``MalformedResource`` without ``state``."""
        fields = Fields(data, "budget")
        return cls(
            contract_id=as_id(fields.get("contractId")),
            payment_type=as_choice(fields.get("paymentType")),
            state=fields.required("state", as_choice),
            funded_volume=as_decimal(fields.get("fundedVolume")),
            funded_amount_usd=as_decimal(fields.get("fundedAmountUsd")),
            consumed=fields.optional("consumed", Consumed.from_json) or Consumed(),
            consumed_volume=as_decimal(fields.get("consumedVolume")),
            remaining_volume=as_decimal(fields.get("remainingVolume")),
            consumed_fraction=as_decimal(fields.get("consumedFraction")),
            active_milestone=fields.optional("activeMilestone", MilestoneInfo.from_json),
            last_usage_at=as_datetime(fields.get("lastUsageAt")),
            raw=fields.raw,
        )
