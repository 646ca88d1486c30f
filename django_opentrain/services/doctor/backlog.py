"""What waits, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.db import models
from django.db.models import Min, Q
from django.utils import timezone

from django_opentrain.models import AccessGrant, DailyUsage, Install, ProjectLink, WebhookEvent
from django_opentrain.services import heartbeat, usage
from django_opentrain.services.doctor.findings import Finding, error, warning

#: A removal that fails is loud soon; a Work Email may take its time.
REMOVAL_LATE: Final = timedelta(minutes=10)
EMAIL_LATE: Final = timedelta(days=1)
REPORT_LATE: Final = timedelta(days=1)
#: The schedule reconciles each hour.
RECONCILE_LATE: Final = timedelta(hours=3)
LINK_LATE: Final = timedelta(hours=1)
#: How many rows a finding names.
SHOWN: Final = 10


def events() -> Iterator[Finding]:
    """Deliveries that were stored and took no effect yet."""
    now = timezone.now()
    waiting = WebhookEvent.objects.due(now).filter(
        Q(next_attempt_at=None, received_at__lte=now - heartbeat.SLOW)
        | Q(next_attempt_at__lte=now - heartbeat.SLOW)
    )
    seen = waiting.aggregate(count=models.Count("pk"), oldest=Min("received_at"))
    if seen["count"]:
        age = round((now - seen["oldest"]).total_seconds())
        title = f"{seen['count']} events are due and wait; the oldest came {age // 60} minutes ago."
        yield error("events-waiting", title, count=seen["count"], age=age)
    yield from _some(
        error,
        "events-failed",
        "events failed for good",
        WebhookEvent.objects.filter(status=WebhookEvent.Status.FAILED),
    )


def grants() -> Iterator[Finding]:
    """Access that is not as it should be."""
    now = timezone.now()
    unsettled = AccessGrant.objects.unsettled()
    leaving = Q(desired=AccessGrant.Desired.REVOKED)
    waiting = Q(state=AccessGrant.State.WAITING_FOR_EMAIL)
    late = Q(desired_at=None) | Q(desired_at__lte=now - REMOVAL_LATE)
    yield from _some(
        error, "removal-failing", "removals of access don't succeed", unsettled.filter(leaving & late)
    )
    failing = unsettled.filter(~leaving & ~waiting, state=AccessGrant.State.FAILED)
    yield from _some(warning, "grant-failing", "grants of access don't succeed", failing)
    since = Q(desired_at=None) | Q(desired_at__lte=now - EMAIL_LATE)
    yield from _some(
        warning,
        "grant-waiting",
        "trainers wait for their Work Email",
        unsettled.filter(~leaving & waiting & since),
    )


def usage_reports() -> Iterator[Finding]:
    """Work that OpenTrain doesn't know of."""
    due = DailyUsage.objects.due(usage.today()).filter(updated_at__lte=timezone.now() - REPORT_LATE)
    yield from _some(warning, "usage-unreported", "days of work are not reported for more than a day", due)
    refused = DailyUsage.objects.filter(status=DailyUsage.Status.REFUSED)
    yield from _some(warning, "usage-refused", "days of work were refused by OpenTrain", refused)


def reconciliation() -> Iterator[Finding]:
    """Comparisons that stopped, were cut, or didn't happen."""
    live = Install.objects.live()
    yield from _some(
        warning,
        "removals-held",
        "installs hold removals that are unusually many",
        live.filter(removals_held__gt=0),
    )
    problems = [row for row in live.exclude(reconcile_summary={}) if row.reconcile_summary.get("problems")]
    if problems:
        title = f"{len(problems)} installs could not be compared with OpenTrain completely."
        yield warning(
            "comparison-incomplete", title, count=len(problems), ids=[row.pk for row in problems[:SHOWN]]
        )
    before = timezone.now() - RECONCILE_LATE
    late = Install.objects.usable().filter(
        Q(reconciled_at=None, created_at__lte=before) | Q(reconciled_at__lte=before)
    )
    yield from _some(warning, "reconcile-late", "installs were not compared with OpenTrain for hours", late)


def links() -> Iterator[Finding]:
    """Links and unlinks that OpenTrain has not taken."""
    before = timezone.now() - LINK_LATE
    owed = ProjectLink.objects.unfinished().filter(install__status__in=Install.LIVE, updated_at__lte=before)
    yield from _some(warning, "links-unfinished", "links or removals of links are not finished", owed)


def _some(report: Any, name: str, what: str, rows: models.QuerySet[Any]) -> Iterator[Finding]:
    """One finding for all of ``rows``, naming the oldest; none where there are none."""
    count = rows.count()
    if count:
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:SHOWN])
        yield report(name, f"{count} {what}.", count=count, ids=ids)
