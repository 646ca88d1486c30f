"""Retention: event bodies and personal data are deleted once nothing needs them any more."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from django_opentrain.conf import conf
from django_opentrain.conflicts import statements_retried
from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    DailyUsage,
    Install,
    Participant,
    ProjectLink,
    UsageObjection,
    WebhookEvent,
    WorkEntry,
)
from django_opentrain.services.purge import history
from django_opentrain.services.purge.batches import delete, in_batches
from django_opentrain.services.work.days import work_day
from django_opentrain.services.workers import heartbeat

OVERDUE: Final = timedelta(days=30)


@dataclass(kw_only=True)
class Purged:
    """How many rows were emptied or deleted."""

    event_bodies: int = 0
    participants: int = 0
    consent_requests: int = 0
    pending_installs: int = 0
    work_entries: int = 0


@statements_retried()
def run() -> Purged:
    """Delete everything past its retention, but nothing that still has to be processed, revoked or reported."""
    now = timezone.now()
    purged = Purged(
        event_bodies=in_batches(_old_bodies(now), empty_bodies, by="received_at"),
        participants=in_batches(_former_trainers(now), anonymize),
        consent_requests=in_batches(_old_consents(now), delete, by="expires_at"),
        pending_installs=in_batches(_abandoned_installs(now), delete),
        work_entries=in_batches(_old_work(now), delete, by="at"),
    )
    heartbeat.beat(heartbeat.PURGE)
    return purged


def is_due(every: timedelta) -> bool:
    """Whether no run has ended in this time."""
    return not heartbeat.beat_within(every.total_seconds(), heartbeat.PURGE)


def overdue(at: datetime) -> Purged:
    """How many event bodies and trainers a run at that time would have emptied, and that still are not.

    Of bodies only those of the last ``OVERDUE``: if runs have stopped there are such ones, and searching all events
    would take long.
    """
    since = at - timedelta(days=conf.event_retention_days) - OVERDUE
    bodies = _old_bodies(at).filter(received_at__gt=since)
    return Purged(event_bodies=bodies.count(), participants=_former_trainers(at).count())


def _old_bodies(now: datetime) -> QuerySet[WebhookEvent]:
    before = now - timedelta(days=conf.event_retention_days)
    return WebhookEvent.objects.filter(WebhookEvent.PURGEABLE, received_at__lte=before)


def empty_bodies(rows: QuerySet[WebhookEvent]) -> int:
    """Delete the bodies of these events; the rows stay."""
    return rows.update(body=None)


def _former_trainers(now: datetime) -> QuerySet[Participant]:
    """Trainers all of whose contracts ended long enough ago, whose access is revoked and whose usage is reported."""
    before = now - timedelta(days=conf.pii_retention_days)
    current = Contract.objects.exclude(_over_since(before))
    unsettled = AccessGrant.objects.filter(participant=OuterRef("pk")).exclude(
        desired=AccessGrant.Desired.REVOKED, state=AccessGrant.State.REVOKED
    )
    due = DailyUsage.objects.filter(contract__trainer=OuterRef("pk"), status=DailyUsage.Status.DUE)
    # Without a token nothing can be reported any more: waiting for that would keep the data indefinitely.
    reportable = due.filter(contract__install__token__isnull=False)
    needed = [
        # Each by an index of its own: by one of either, a database reads all contracts for each trainer.
        Exists(current.filter(trainer=OuterRef("pk"))),
        Exists(current.filter(grants__participant=OuterRef("pk"))),
        Exists(unsettled),
        Exists(reportable),
    ]
    old = Participant.objects.filter(purged_at=None, updated_at__lte=before)
    return old.filter(*(~each for each in needed))


def _over_since(before: datetime) -> Q:
    """Contracts that ended by then, or whose connection or link ended by then: their own end is never reported."""
    ended = Q(install__status__in=[Install.Status.REVOKED, Install.Status.DISCONNECTED])
    linked = ProjectLink.objects.filter(Q(live=True) | Q(removed_at__gt=before), contracts=OuterRef("pk"))
    return (
        Q(status=Contract.Status.ENDED, ended_at__lte=before)
        | ended & Q(install__revoked_at__lte=before)
        | Q(~Exists(linked), created_at__lte=before)
    )


def anonymize(participants: QuerySet[Participant]) -> int:
    """Delete these participants' personal data: name, country, profile, Work Email, and what they and others wrote
    about their work. The id stays, also where the admin's history had the name.
    """
    # Before they are marked as purged: after a crash in between it is done again.
    history.replace_names(participants)
    _erase_texts(participants)
    return participants.update(
        display_name="", country="", profile_url="", work_email=None, purged_at=timezone.now()
    )


def _erase_texts(participants: QuerySet[Participant]) -> None:
    """Objections with their answers, and reasons of corrections: free text may name people."""
    trainers: defaultdict[str, list[str]] = defaultdict(list)
    for tenant, trainer in participants.values_list("install__tenant", "opentrain_user_id"):
        trainers[tenant].append(trainer)
    for tenant, those in trainers.items():
        objections = UsageObjection.objects.filter(
            contract__install__tenant=tenant, opentrain_user_id__in=those
        )
        # One that is open would wait for an answer to nothing.
        objections.open().update(status=UsageObjection.Status.WITHDRAWN, live=None, closed_at=timezone.now())
        objections.update(text="", answer="")
        entries = WorkEntry.objects.filter(tenant=tenant, opentrain_user_id__in=those)
        entries.filter(kind=WorkEntry.Kind.CORRECTED).exclude(reason="").update(reason="")


def _old_consents(now: datetime) -> QuerySet[ConsentRequest]:
    return ConsentRequest.objects.filter(expires_at__lte=now - timedelta(days=1))


def _old_work(now: datetime) -> QuerySet[WorkEntry]:
    """Entries of whole days: a day's total follows from all of its entries, or isn't derived any more."""
    oldest = work_day(now) - timedelta(days=conf.work_retention_days)
    # Also by the indexed column: a day begins within a day of UTC's.
    return WorkEntry.objects.filter(
        work_date__lt=oldest, at__lt=now - timedelta(days=conf.work_retention_days - 2)
    )


def _abandoned_installs(now: datetime) -> QuerySet[Install]:
    return Install.objects.filter(status=Install.Status.PENDING, created_at__lte=now - timedelta(days=7))
