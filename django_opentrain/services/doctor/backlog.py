"""Queued work: what waits, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.db.models import Min, Q
from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    TrainerAccount,
    WebhookEvent,
)
from django_opentrain.services import usage
from django_opentrain.services.doctor.findings import Finding, error, note, warning
from django_opentrain.services.doctor.formatting import customer, format_duration, in_one_line
from django_opentrain.services.workers import heartbeat

#: A removal that fails is reported soon; a Work Email may take its time.
REMOVAL_LATE: Final = timedelta(minutes=10)
MAIL_LATE: Final = timedelta(minutes=10)
EMAIL_LATE: Final = timedelta(days=1)
REPORT_LATE: Final = timedelta(days=1)
#: The schedule reconciles each hour.
RECONCILE_LATE: Final = timedelta(hours=3)
LINK_LATE: Final = timedelta(hours=1)
#: How many rows a finding names.
SHOWN: Final = 10


def events() -> Iterator[Finding]:
    """Events that are stored and not processed yet."""
    now = timezone.now()
    waiting = WebhookEvent.objects.due(now).filter(
        Q(next_attempt_at=None, received_at__lte=now - heartbeat.BACKLOG_OVERDUE)
        | Q(next_attempt_at__lte=now - heartbeat.BACKLOG_OVERDUE)
    )
    overdue = waiting.aggregate(count=models.Count("pk"), oldest=Min("received_at"))
    if overdue["count"]:
        age = (now - overdue["oldest"]).total_seconds()
        title = f"Events that are overdue: {overdue['count']}. The oldest is {format_duration(age)} old."
        yield error("events-waiting", title, count=overdue["count"], age=round(age))
    rows = WebhookEvent.objects.select_related("endpoint__install").defer("body")
    failing = rows.filter(WebhookEvent.FAILING)
    yield from _some(error, "events-failing", "Events that keep failing", failing, _event)
    failed = rows.filter(status=WebhookEvent.Status.FAILED)
    yield from _some(error, "events-failed", "Events that failed in every attempt", failed, _event)


def _event(row: WebhookEvent) -> str:
    return f"{row} of {customer(row.endpoint.install)}: {row.error}"


def grants() -> Iterator[Finding]:
    """Access that is not in its desired state."""
    now = timezone.now()
    unsettled = AccessGrant.objects.unsettled().select_related("participant", "link__install")
    leaving = Q(desired=AccessGrant.Desired.REVOKED)
    waiting = Q(state=AccessGrant.State.WAITING_FOR_EMAIL)
    late = Q(desired_at=None) | Q(desired_at__lte=now - REMOVAL_LATE)
    removals = unsettled.filter(leaving & late)
    yield from _some(error, "removal-failing", "Removals of access that keep failing", removals, _grant)
    failing = unsettled.filter(~leaving & ~waiting, state=AccessGrant.State.FAILED)
    yield from _some(warning, "grant-failing", "Access grants that keep failing", failing, _grant)
    since = Q(desired_at=None) | Q(desired_at__lte=now - EMAIL_LATE)
    without_email = unsettled.filter(~leaving & waiting & since)
    yield from _some(warning, "grant-waiting", "Trainers without a Work Email", without_email, _grant)


def held_emails() -> Iterator[Finding]:
    """Trainers whose access waits for an operator."""
    held = AccessGrant.objects.wanted().filter(state=AccessGrant.State.HELD)
    rows = held.select_related("participant", "link__install")
    yield from _some(warning, "email-held", "Trainers whose Work Email is to be accepted", rows, _grant)


def removals_by_hand() -> Iterator[Finding]:
    """Access that a person has ended on the site."""
    rows = AccessGrant.objects.removed_by_hand().select_related("participant", "link__install")
    yield from _some(
        note,
        "removed-by-hand",
        "Trainers whom a person has removed from this site by hand",
        rows,
        lambda row: f"{_access(row)}: noticed at {row.revoked_at}",
    )


def first_logins() -> Iterator[Finding]:
    """Trainers who have access and can't log in."""
    now = timezone.now()
    accounts = TrainerAccount.objects.all()
    unsent = accounts.invitation_overdue(now - MAIL_LATE)
    yield from _some(error, "mail-failing", "First-login mails that are not sent", unsent, _account)
    expired = accounts.invitation_expired(now - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT))
    yield from _some(
        warning, "login-expired", "Trainers whose login links all expired unused", expired, _account
    )


def _account(row: TrainerAccount) -> str:
    attempts = f"{row.invitation_attempts} attempts, {row.invitation_error or 'not tried yet'}"
    said = f"sent {row.invitation_sent_at:%Y-%m-%d}" if row.invitation == row.Invitation.SENT else attempts
    return f"trainer {row.opentrain_user_id} (account {row.user_id}): {said}"


def _grant(row: AccessGrant) -> str:
    return f"{_access(row)}: {row.last_error or 'not tried yet'}"


def _access(row: AccessGrant) -> str:
    account = f" (account {row.host_user_ref})" if row.host_user_ref else ""
    who = f"trainer {row.participant.opentrain_user_id}{account}"
    where = f"project {row.external_project_id} of {customer(row.link.install)}"
    return f"grant {row.pk}, {who}, {where}"


def usage_reports() -> Iterator[Finding]:
    """Work that OpenTrain doesn't have."""
    yield from _some(
        error,
        "usage-uncollected",
        "Contracts whose work can't be collected from this site",
        Contract.objects.exclude(collect_error="").select_related("install"),
        lambda row: f"contract {row.opentrain_id} of {customer(row.install)}: {row.collect_error}",
    )
    rows = DailyUsage.objects.select_related("contract__install")
    due = rows.due(usage.today()).filter(updated_at__lte=timezone.now() - REPORT_LATE)
    yield from _some(
        warning,
        "usage-unreported",
        "Days of work that have not been reported for more than a day",
        due,
        lambda row: f"{_day(row)}: {row.contract.report_error or 'not tried'}",
    )
    yield from _some(
        warning,
        "usage-refused",
        "Days of work that OpenTrain refused",
        rows.filter(status=DailyUsage.Status.REFUSED),
        lambda row: f"{_day(row)}: {row.error}",
    )


def _day(row: DailyUsage) -> str:
    return f"{row.work_date}, contract {row.contract.opentrain_id} of {customer(row.contract.install)}"


def reconciliation() -> Iterator[Finding]:
    """Reconciliations that were held, incomplete, or didn't happen."""
    live = Install.objects.live()
    yield from _some(
        warning,
        "removals-held",
        "Installs with unusually many removals, which wait for confirmation",
        live.filter(removals_held__gt=0),
        lambda row: (
            f"{customer(row)}: {row.removals_held} grants. {'; '.join(row.last_reconciliation.get('held', ()))}"
        ),
    )
    yield from _some(
        warning,
        "reconcile-incomplete",
        "Installs that could not be reconciled completely",
        live.filter(reconcile_summary__problems__0__isnull=False),
        lambda row: f"{customer(row)}: {' '.join(row.last_reconciliation['problems'])}",
    )
    before = timezone.now() - RECONCILE_LATE
    late = Q(reconciled_at=None, created_at__lte=before) | Q(reconciled_at__lte=before)
    yield from _some(
        warning,
        "reconcile-late",
        "Installs that have not been reconciled for hours",
        Install.objects.usable().filter(late),
        lambda row: f"{customer(row)}: {row.last_error or 'no error was recorded'}",
    )


def links() -> Iterator[Finding]:
    """Links and unlinks that OpenTrain has not accepted."""
    before = timezone.now() - LINK_LATE
    late = ProjectLink.objects.unfinished().filter(install__status__in=Install.LIVE, updated_at__lte=before)
    yield from _some(
        warning,
        "links-unfinished",
        "Links, or removals of links, that are not finished",
        late.select_related("install"),
        lambda row: (
            f"project {row.external_project_id} of {customer(row.install)}: {row.last_error or 'not tried'}"
        ),
    )


def _some(
    report: Callable[..., Finding],
    name: str,
    what: str,
    rows: models.QuerySet[Any],
    line: Callable[[Any], str],
) -> Iterator[Finding]:
    """One finding for all of ``rows``, naming the oldest; none where there are none."""
    count = rows.count()
    if count:
        oldest = list(rows.order_by("pk")[:SHOWN])
        lines = [in_one_line(line(row)) for row in oldest]
        if count > SHOWN:
            lines.append(f"and {count - SHOWN} more")
        yield report(name, f"{what}: {count}.", lines, count=count, ids=[row.pk for row in oldest])
