"""Reconciliations that were held, incomplete or late, and links that OpenTrain has not accepted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from django_opentrain.models import Install, ProjectLink
from django_opentrain.services.conditions.condition import UNFINISHED_LATE, Condition, Severity

#: The schedule reconciles each hour.
RECONCILE_LATE: Final = timedelta(hours=3)


def _late_installs(now: datetime) -> QuerySet[Install]:
    before = now - RECONCILE_LATE
    late = Q(reconciled_at=None, created_at__lte=before) | Q(reconciled_at__lte=before)
    return Install.objects.usable().filter(late)


def _unfinished_links(now: datetime) -> QuerySet[ProjectLink]:
    late = Q(updated_at__lte=now - UNFINISHED_LATE) | ~Q(last_error="")
    return ProjectLink.objects.unfinished().filter(late, install__status__in=Install.LIVE)


RECONCILIATION: Final = (
    Condition(
        name="removals-held",
        severity=Severity.ERROR,
        model=Install,
        find=lambda _now: Install.objects.live().filter(removals_held__gt=0),
        title=_("Connections with removals that wait for confirmation"),
        advice=_(
            "Review them: manage.py opentrain_sync --dry-run. If they are right, confirm them on the customer's"
            " page, or: manage.py opentrain_sync --confirm-removals --install ID"
        ),
    ),
    Condition(
        name="reconcile-incomplete",
        severity=Severity.WARNING,
        model=Install,
        find=lambda _now: Install.objects.live().filter(reconcile_summary__problems__0__isnull=False),
        title=_("Connections that were not synced completely"),
        advice=_("What OpenTrain didn't list could not be compared. Events still work."),
    ),
    Condition(
        name="reconcile-late",
        severity=Severity.WARNING,
        model=Install,
        find=_late_installs,
        title=_("Connections that have not been synced for hours"),
        advice=_("Make sure that beat runs. To sync now: manage.py opentrain_sync"),
    ),
    Condition(
        name="links-unfinished",
        severity=Severity.WARNING,
        model=ProjectLink,
        find=_unfinished_links,
        title=_("Links, or removals of links, that are not finished"),
        advice=_("Fix the error. They are completed once OpenTrain accepts them."),
    ),
)
