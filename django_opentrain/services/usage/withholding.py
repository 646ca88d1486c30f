"""Hours that are tracked elsewhere, such as by OpenTrain's own Time Tracker: they are kept here and not reported.

Whether what tracks them reports them to OpenTrain, too, is not documented, and no work may be paid twice. So a
customer says it of a link, and the days of its contracts are reported without seconds: OpenTrain keeps what it has of
a field that is left out. Each such day is marked (``DailyUsage.hours_withheld``): its hours aren't reported later
either, with a correction or once hours are reported again, unless the customer asks for that.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from django_opentrain.explanations import NO_REASON
from django_opentrain.models import Contract, DailyUsage, ProjectLink
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.services.usage.due import DueDay, unchanged
from django_opentrain.services.usage.totals import today

Status = DailyUsage.Status


def tracked_elsewhere(contracts: ContractQuerySet) -> ContractQuerySet:
    """Those of them whose hours are tracked elsewhere: one live link that says so is enough.

    A contract's total is that of all its projects, here and where hours are tracked: they can't be told apart.
    """
    return contracts.filter(_said_by_a_link_of(OuterRef("pk")))


def is_tracked_elsewhere(contract: Contract) -> Exists:
    """Whether this contract's hours are tracked elsewhere, as a part of another statement."""
    return _said_by_a_link_of(contract.pk)


def leave_out(days: Sequence[DueDay]) -> list[DueDay]:
    """Mark the days of a report whose hours are left out; returns those that have anything to report.

    The others are recorded as withheld. What is returned is marked in memory only: the report may fail.
    """
    for day in days:
        day.hours_withheld = day.hours_withheld or day.elsewhere
    if withheld := [day for day in days if _has_only_withheld_hours(day)]:
        _record_withheld(withheld)
    return [day for day in days if not _has_only_withheld_hours(day)]


def begin(contracts: ContractQuerySet) -> None:
    """Hours of these contracts are tracked elsewhere from now on.

    A day that OpenTrain refused is reported once more: it may have been for its hours.
    """
    refused = DailyUsage.objects.filter(contract__in=contracts, status=Status.REFUSED)
    refused.update(status=Status.DUE, retry_at=None, updated_at=timezone.now(), **NO_REASON.columns("error"))


def end(contracts: ContractQuerySet) -> None:
    """Hours of these contracts are no longer tracked elsewhere, except where another link says so.

    Days until today keep their hours to themselves: those that are not reported yet, those on which work is still
    collected, and today, whose hours were tracked elsewhere in part.
    """
    ended = contracts.exclude(pk__in=tracked_elsewhere(contracts).values("pk"))
    keys = list(ended.values_list("pk", flat=True))
    open_days = ~Q(status=Status.REPORTED) | Q(work_date__gte=today())
    DailyUsage.objects.filter(open_days, contract__in=keys).update(hours_withheld=True)
    Contract.objects.filter(pk__in=keys).update(hours_withheld_until=today(), updated_at=timezone.now())


def release(contracts: ContractQuerySet) -> int:
    """The withheld hours of these contracts are to be reported after all, except where a link still withholds them.

    Returns of how many days.
    """
    keys = list(
        contracts.exclude(pk__in=tracked_elsewhere(contracts).values("pk")).values_list("pk", flat=True)
    )
    Contract.objects.filter(pk__in=keys).update(hours_withheld_until=None, updated_at=timezone.now())
    return report_withheld_hours(DailyUsage.objects.filter(contract__in=keys))


def report_withheld_hours(rows: DailyUsageQuerySet) -> int:
    """The withheld hours of these days are to be reported after all; returns of how many days.

    Where a link of the contract still withholds them, they are left out of the next report again.
    """
    return rows.filter(hours_withheld=True).update(
        hours_withheld=False,
        # A report that is under way has left them out: it isn't the newest.
        revision=F("revision") + 1,
        status=Status.DUE,
        retry_at=None,
        updated_at=timezone.now(),
        **NO_REASON.columns("error"),
    )


def _said_by_a_link_of(contract: int | OuterRef) -> Exists:
    return Exists(ProjectLink.objects.live().filter(contracts=contract, hours_tracked_elsewhere=True))


def _has_only_withheld_hours(day: DueDay) -> bool:
    others = day.tasks_completed, day.labels_completed
    return day.hours_withheld and day.total_seconds is not None and others == (None, None)


def _record_withheld(days: Sequence[DueDay]) -> None:
    unchanged(days).update(
        status=Status.WITHHELD,
        hours_withheld=True,
        retry_at=None,
        updated_at=timezone.now(),
        **NO_REASON.columns("error"),
    )
