"""Days that are to be reported: what of their rows a report needs, without a model instance for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

from django.db.models import Exists, Q
from django.db.models.expressions import RawSQL

from django_opentrain.models import Contract, DailyUsage
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.platform.resources import UsageEntry


@dataclass(slots=True)
class DueDay:
    """A row of ``DailyUsage`` as it was read."""

    pk: int
    revision: int
    status: str
    work_date: date
    worker_id: str
    total_seconds: int | None
    tasks_completed: int | None
    labels_completed: int | None
    external_report_id: str
    hours_withheld: bool
    #: Whether the contract's hours are tracked elsewhere now.
    elsewhere: bool

    def entry(self) -> UsageEntry:
        """As it is reported. Raises ``InvalidRequest`` for what no day can have."""
        return UsageEntry(
            work_date=self.work_date,
            total_seconds=None if self.hours_withheld else self.total_seconds,
            tasks_completed=self.tasks_completed,
            labels_completed=self.labels_completed,
            worker_opentrain_user_id=self.worker_id,
            external_report_id=self.external_report_id,
        )


_COLUMNS: Final = [each.name for each in fields(DueDay)]


def due_days(contract: Contract, *, elsewhere: Exists) -> list[DueDay]:
    """The contract's due days, also those in the future, in the order of their dates."""
    rows = DailyUsage.objects.filter(contract=contract).due(date.max)
    rows = rows.annotate(elsewhere=elsewhere).order_by("work_date", "worker_id")
    return [DueDay(*values) for values in rows.values_list(*_COLUMNS)]


def unchanged(days: Iterable[DueDay]) -> DailyUsageQuerySet:
    """The rows of these days that have the revision that was read. The others have changed since."""
    by_revision: defaultdict[int, list[int]] = defaultdict(list)
    for day in days:
        by_revision[day.revision].append(day.pk)
    # Not a condition for each row, nor a parameter: a hundred of either cost more than the change.
    same = Q(pk__in=())
    for revision, keys in by_revision.items():
        same |= Q(pk__in=RawSQL(", ".join(f"{key:d}" for key in keys), ()), revision=revision)  # noqa: S611 - numbers
    return DailyUsage.objects.filter(same)
