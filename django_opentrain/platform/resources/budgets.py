"""Funded work, and how much of it is used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django_opentrain.platform import catalog
from django_opentrain.platform.resources.base import (
    CHOICE,
    COUNT,
    DATETIME,
    DECIMAL,
    ID,
    Resource,
    member,
    nested,
    text,
)
from django_opentrain.platform.values import NAME_LENGTH


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumed(Resource):
    """Work reported under a contract so far; None where OpenTrain sent none."""

    seconds: int | None = member(COUNT)
    hours: Decimal | None = member(DECIMAL)
    labels: int | None = member(COUNT)
    tasks: int | None = member(COUNT)


@dataclass(frozen=True, kw_only=True, slots=True)
class MilestoneInfo(Resource):
    """A piece of funded work. ``volume`` is hours or labels by the contract's payment type."""

    id: str = member(ID, essential=True)
    name: str = member(text(NAME_LENGTH))
    amount_usd: Decimal | None = member(DECIMAL)
    volume: Decimal | None = member(DECIMAL)
    status: str = member(CHOICE)


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetInfo(Resource):
    """How much of a contract's funded work is used up. Volumes are hours or labels by ``payment_type``.

    ``contract_id`` is "" where a webhook's budget doesn't repeat it.
    """

    contract_id: str = member(ID)
    payment_type: str = member(CHOICE, known=catalog.PAYMENT_TYPES)
    state: str = member(CHOICE, essential=True, known=catalog.BUDGET_STATES)
    funded_volume: Decimal | None = member(DECIMAL)
    funded_amount_usd: Decimal | None = member(DECIMAL)
    consumed: Consumed = nested(Consumed, default=Consumed())
    consumed_volume: Decimal | None = member(DECIMAL)
    remaining_volume: Decimal | None = member(DECIMAL)
    consumed_fraction: Decimal | None = member(DECIMAL)
    active_milestone: MilestoneInfo | None = nested(MilestoneInfo)
    last_usage_at: datetime | None = member(DATETIME)
