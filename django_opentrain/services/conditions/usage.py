"""Work that OpenTrain doesn't have, and budgets that end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from django_opentrain.models import Contract, DailyUsage, Install, UsageObjection
from django_opentrain.models.usage import DailyUsageQuerySet
from django_opentrain.services.conditions.condition import Condition, Severity
from django_opentrain.services.usage.changes import new_work
from django_opentrain.services.usage.measuring import unmeasured
from django_opentrain.services.usage.totals import today

REPORT_LATE: Final = timedelta(days=1)


def _uncollected(now: datetime) -> QuerySet[Contract]:
    failing = Contract.objects.filter(new_work(now), install__token__isnull=False)
    return failing.exclude(collect_error="")


def _reportable_days() -> DailyUsageQuerySet:
    """Without its token a connection has ended, and OpenTrain takes no more of its days."""
    # Of each of the few days: for a join PostgreSQL reads all contracts, for a list SQLite does.
    ended = Contract.objects.filter(pk=OuterRef("contract"), install__token__isnull=True)
    return DailyUsage.objects.filter(~Exists(ended))


def _unreported_days(now: datetime) -> QuerySet[DailyUsage]:
    return _reportable_days().due(today()).filter(updated_at__lte=now - REPORT_LATE)


def _refused_days(_now: datetime) -> QuerySet[DailyUsage]:
    # With a time for another attempt it was refused before its end, as expected.
    return _reportable_days().filter(status=DailyUsage.Status.REFUSED, retry_at=None)


def _unmeasured_hours(_now: datetime) -> QuerySet[Contract]:
    return unmeasured(Contract.objects.active().filter(install__status__in=Install.LIVE))


def _budget(state: str) -> Callable[[datetime], QuerySet[Contract]]:
    return lambda _now: Contract.objects.active().filter(install__status__in=Install.LIVE, budget_state=state)


USAGE: Final = (
    Condition(
        name="usage-uncollected",
        severity=Severity.ERROR,
        model=Contract,
        find=_uncollected,
        title=_("Contracts whose work can't be collected from this site"),
        advice=_("Fix the error; it is retried automatically, at most an hour later."),
        for_customers=ngettext_lazy(
            "The work of %(count)d contract can't be collected.",
            "The work of %(count)d contracts can't be collected.",
            "count",
        ),
    ),
    Condition(
        name="usage-unreported",
        severity=Severity.WARNING,
        model=DailyUsage,
        find=_unreported_days,
        title=_("Days of work that have not been reported for more than a day"),
        advice=_("Fix the error; it is retried automatically. OpenTrain pays only for reported work."),
        for_customers=ngettext_lazy(
            "%(count)d day of work is not reported yet.",
            "%(count)d days of work are not reported yet.",
            "count",
        ),
    ),
    Condition(
        name="usage-refused",
        severity=Severity.WARNING,
        model=DailyUsage,
        find=_refused_days,
        title=_("Days of work that OpenTrain refused"),
        advice=_("Correct these days: a correction is reported automatically."),
        for_customers=ngettext_lazy(
            "OpenTrain has refused %(count)d day of work.",
            "OpenTrain has refused %(count)d days of work.",
            "count",
        ),
    ),
    Condition(
        name="hours-unmeasured",
        severity=Severity.WARNING,
        model=Contract,
        find=_unmeasured_hours,
        title=_("Contracts that are paid by the hour, though this site measures no time"),
        advice=_("Install the timer (docs/how-to/timer.md), or have the customer track hours elsewhere."),
        for_customers=ngettext_lazy(
            "This platform measures no time: no hours of %(count)d contract are reported.",
            "This platform measures no time: no hours of %(count)d contracts are reported.",
            "count",
        ),
    ),
    Condition(
        name="usage-objected",
        severity=Severity.WARNING,
        model=UsageObjection,
        find=lambda _now: UsageObjection.objects.open(),
        title=_("Days of work to which their trainer objects"),
        advice=_("Look at the day's actions with the customer. Correct the day, or answer why it is right."),
        for_customers=ngettext_lazy(
            "A trainer objects to %(count)d day of work.",
            "Trainers object to %(count)d days of work.",
            "count",
        ),
    ),
    Condition(
        name="budget-depleted",
        severity=Severity.ERROR,
        model=Contract,
        find=_budget(Contract.BudgetState.DEPLETED),
        title=_("Contracts whose budget is used up"),
        advice=_("The customer funds them on OpenTrain."),
        for_customers=ngettext_lazy(
            "The budget of %(count)d contract is used up.",
            "The budgets of %(count)d contracts are used up.",
            "count",
        ),
        for_operators=False,
    ),
    Condition(
        name="budget-low",
        severity=Severity.WARNING,
        model=Contract,
        find=_budget(Contract.BudgetState.LOW),
        title=_("Contracts whose budget is running low"),
        advice=_("The customer funds them on OpenTrain."),
        for_customers=ngettext_lazy(
            "The budget of %(count)d contract is running low.",
            "The budgets of %(count)d contracts are running low.",
            "count",
        ),
        for_operators=False,
    ),
)
