"""Stored data: whether retention is kept and secrets can be decrypted; and whether revocation works."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_opentrain.adapters import get_adapter
from django_opentrain.platform.redaction import describe
from django_opentrain.services import purge
from django_opentrain.services.doctor.findings import Finding, error, warning
from django_opentrain.services.purge import key_rotation

#: The purge runs once a night.
PURGE_LATE: Final = timedelta(days=2)
#: Rows of each column that are tried: the newest, where a lost key shows first, and the oldest.
SAMPLE: Final = 200


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
