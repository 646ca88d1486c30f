"""Reconciliations that were held, incomplete or late; links that OpenTrain hasn't accepted, or that lead nowhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from django_opentrain.models import AccessGrant, Install, ProjectLink
from django_opentrain.services.conditions.condition import UNFINISHED_LATE, Condition, Severity
from django_opentrain.services.workers import turns

#: Two hours beyond the interval of the schedule.
RECONCILE_LATE: Final = turns.IN_DOUBT + timedelta(hours=2)
TRUSTED_LATE: Final = turns.TRUSTED + timedelta(hours=2)


def _late_installs(now: datetime) -> QuerySet[Install]:
    before = now - RECONCILE_LATE
    late = Q(reconciled_at=None, created_at__lte=before) | Q(reconciled_at__lte=now - TRUSTED_LATE)
    late |= Q(reconciled_at__lte=before, in_sync_since=None)
    return Install.objects.usable().filter(late)


def _held_removals(_now: datetime) -> QuerySet[Install]:
    """Of live installs; and of those that ended on OpenTrain while access through them goes on."""
    given = AccessGrant.objects.unrevoked().filter(contract__install=OuterRef("pk"))
    ended = Q(Exists(given), status=Install.Status.REVOKED, superseded_by=None)
    return Install.objects.filter(Q(status__in=Install.LIVE) | ended, removals_held__gt=0)


def _unfinished_links(now: datetime) -> QuerySet[ProjectLink]:
    late = Q(updated_at__lte=now - UNFINISHED_LATE) | ~Q(last_error="")
    return ProjectLink.objects.unfinished().filter(late, install__status__in=Install.LIVE)


RECONCILIATION: Final = (
    Condition(
        name="removals-held",
        severity=Severity.ERROR,
        model=Install,
        find=_held_removals,
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
    Condition(
        name="project-gone",
        severity=Severity.WARNING,
        model=ProjectLink,
        find=lambda _now: ProjectLink.objects.active().filter(
            project_missing_since__isnull=False, install__status__in=Install.LIVE
        ),
        title=_("Links whose project is gone from this site"),
        advice=_(
            "People can be hired for it, and have nowhere to work. Unlink it, on the customer's page or in the admin,"
            " or bring the project back."
        ),
    ),
)
