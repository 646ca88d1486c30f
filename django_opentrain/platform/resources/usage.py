"""Reports of work: what is sent, and what OpenTrain answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

from django_opentrain.platform.catalog import SECONDS_PER_DAY
from django_opentrain.platform.errors import InvalidRequest
from django_opentrain.platform.resources.base import COUNT, ID, Resource, member, nested
from django_opentrain.platform.resources.budgets import BudgetInfo
from django_opentrain.platform.values import MAX_ID, as_id, as_whole, camel

#: The totals of a day, and the most that each can be. OpenTrain documents no bounds: a day ends, and a count is kept
#: in 32 bits.
MAX_TOTALS: Final[Mapping[str, int]] = MappingProxyType(
    {"total_seconds": SECONDS_PER_DAY, "tasks_completed": 2**31 - 1, "labels_completed": 2**31 - 1}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageResult(Resource):
    """The answer to a usage report: how many entries were accepted, and the budget after them.

    ``outcome_unknown``: it answers a retry, and the first attempt may still take effect, after newer reports.
    """

    contract_id: str = member(ID, essential=True)
    accepted: int | None = member(COUNT)
    budget: BudgetInfo | None = nested(BudgetInfo)
    outcome_unknown: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageEntry:
    """One worker's cumulative totals of one day: they replace what OpenTrain has stored for that day.

    A field that is None or "" is not sent, and keeps its stored value. ``worker_opentrain_user_id`` "" is the
    hired trainer. Whole numbers of another type, such as 2.0, become integers. Raises ``InvalidRequest``, a
    ``ValueError``, for what no day can have.
    """

    work_date: date
    total_seconds: int | None = None
    tasks_completed: int | None = None
    labels_completed: int | None = None
    worker_opentrain_user_id: str = ""
    external_report_id: str = ""

    def __post_init__(self) -> None:
        day: object = self.work_date
        if not isinstance(day, date) or isinstance(day, datetime):
            raise InvalidRequest(f"work_date must be a date without a time, not {day!r:.40}.")
        for name, most in MAX_TOTALS.items():
            total = as_whole(getattr(self, name))
            if total is not None and (type(total) is not int or not 0 <= total <= most):
                raise InvalidRequest(f"{name} must be a whole number from 0 to {most}, not {total!r:.40}.")
            object.__setattr__(self, name, total)
        for name in ("worker_opentrain_user_id", "external_report_id"):
            text = getattr(self, name)
            if text != "" and as_id(text) != text:
                raise InvalidRequest(
                    f"{name} must be a text of at most {MAX_ID} characters, without control characters."
                )

    @property
    def totals(self) -> dict[str, int]:
        """The totals that are given."""
        return {name: total for name in MAX_TOTALS if (total := getattr(self, name)) is not None}

    def as_json(self) -> dict[str, str | int]:
        """The entry as OpenTrain takes it."""
        members: dict[str, str | int] = {"workDate": self.work_date.isoformat()}
        for name, key in _OPTIONAL:
            value = getattr(self, name)
            if value is not None and value != "":
                members[key] = value
        return members


#: The fields that may be left out, and OpenTrain's names of them: a report has a hundred entries.
_OPTIONAL: Final = [(each.name, camel(each.name)) for each in fields(UsageEntry) if each.name != "work_date"]
