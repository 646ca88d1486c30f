"""Stored data: is retention kept, can secrets be decrypted? Does revocation work, and what does it leave?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_opentrain.adapters import OpenTrainAdapter, get_adapter
from django_opentrain.models import AccessGrant
from django_opentrain.platform.redaction import describe
from django_opentrain.services import purge
from django_opentrain.services.conditions import Severity
from django_opentrain.services.doctor.backlog import SHOWN
from django_opentrain.services.doctor.findings import Finding, error, finding, warning
from django_opentrain.services.doctor.formatting import in_one_line
from django_opentrain.services.purge import key_rotation

#: The purge runs once a night.
PURGE_LATE: Final = timedelta(days=2)
#: Rows of each column that are tried: the newest, where a lost key shows first, and the oldest.
SAMPLE: Final = 200
#: How long after the end of access it is shown what the trainer may have left behind.
LEFT_BEHIND_SHOWN: Final = timedelta(days=30)


def retention() -> Iterator[Finding]:
    """Is anything kept longer than the settings say?"""
    overdue = purge.overdue(timezone.now() - PURGE_LATE)
    if overdue.event_bodies or overdue.participants:
        title = f"Past their retention: event bodies {overdue.event_bodies}, trainers {overdue.participants}."
        yield warning(
            "retention-due", title, event_bodies=overdue.event_bodies, participants=overdue.participants
        )


def secrets() -> Iterator[Finding]:
    """Can the newest of each secret be decrypted? And the oldest: would they be, in another row?"""
    for column, lost in key_rotation.undecryptable(SAMPLE).items():
        yield error(
            "secrets-undecryptable",
            f"Of the newest values of {column}, {lost} can't be decrypted.",
            column=column,
        )
    unbound = key_rotation.unbound(SAMPLE)
    if unbound:
        title = (
            f"Of the oldest secrets, {sum(unbound.values())} are encrypted without being bound to their rows."
        )
        yield warning("secrets-unbound", title, columns=unbound)


def left_behind() -> Iterator[Finding]:
    """What was made on this site while trainers had access that has ended since, where the adapter can say it."""
    adapter = get_adapter()
    if type(adapter).left_behind is OpenTrainAdapter.left_behind:
        return
    ended = AccessGrant.objects.filter(
        state=AccessGrant.State.REVOKED,
        granted_at__isnull=False,
        revoked_at__gte=timezone.now() - LEFT_BEHIND_SHOWN,
    ).select_related("participant", "link__install")
    # What was made while several had access is named once.
    lines = {
        line: None for grant in ended.order_by("-revoked_at")[:SAMPLE] for line in adapter.left_behind(grant)
    }
    if lines:
        shown = [in_one_line(line) for line in lines][:SHOWN]
        if len(lines) > SHOWN:
            shown.append(f"and {len(lines) - SHOWN} more")
        title = f"Made while trainers had access that has ended since: {len(lines)}."
        yield finding(Severity.NOTE, "left-behind", title, shown, count=len(lines))


def revocation() -> Iterator[Finding]:
    """Does revocation work for the adapter's canary? Only if the adapter can test it."""
    adapter = get_adapter()
    try:
        problem = adapter.check_revocation()
    except NotImplementedError:
        return
    except ImproperlyConfigured:
        raise  # not the adapter's fault
    except Exception as failure:  # noqa: BLE001 - host code: a removal that raises is one that doesn't work
        problem = f"Granting access to a canary account and revoking it failed: {describe(failure)}"
    if problem:
        yield error("revocation-broken", problem)
