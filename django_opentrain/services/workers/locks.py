"""Row locks for changes in this database, leases for calls to OpenTrain.

A row lock ends with its transaction, so with the process that holds it. A call to OpenTrain can take minutes, too
long for an open transaction: such calls are serialised per install by a lease in the install's row, which expires if
its holder dies.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, models
from django.db.models import F, Q
from django.utils import timezone

from django_opentrain.errors import BusyError, LeaseLostError, ReconnectRequired
from django_opentrain.models import Install
from django_opentrain.transactions import atomic

M = TypeVar("M", bound=models.Model)

#: Longer than the longest single call (``transport.MAX_CALL_SECONDS``), so that a live holder never loses it in one.
LEASE = timedelta(minutes=5)
#: How long a call to the host keeps other workers from the same trainer or budget, even if its process has ended.
#: A longer call may overlap with another one: its result is then checked again.
CALL_LEASE = timedelta(minutes=1)


def lock(queryset: models.QuerySet[M], *, skip_locked: bool = False) -> M | None:
    """The one row of ``queryset``, locked until the transaction ends; None when there is none.

    With ``skip_locked``, also None when another worker holds it (waits on databases that can't skip). SQLite has no
    row locks: there the first writer locks the whole database, so a write that changes nothing is used instead.
    """
    return _locking(queryset, skip_locked=skip_locked).first()


def lock_all(queryset: models.QuerySet[M]) -> list[M]:
    """All rows of ``queryset``, locked in the order of their keys, so that two callers don't deadlock."""
    return list(_locking(queryset.order_by("pk")))


def _locking(queryset: models.QuerySet[M], *, skip_locked: bool = False) -> models.QuerySet[M]:
    features = connections[queryset.select_for_update().db].features
    if not features.has_select_for_update:
        key = queryset.model._meta.pk.attname
        queryset.order_by().update(**{key: F(key)})
        return queryset
    skip = skip_locked and features.has_select_for_update_skip_locked
    return queryset.select_for_update(skip_locked=skip)


@contextmanager
def install_lock(install: Install) -> Iterator[None]:
    """A transaction in which no other process records changes of this install's data.

    So an event and a poll are applied one after the other, the second to the result of the first. Raises
    ``BusyError`` after a reconnect: what is recorded for an install that was taken over has no effect.
    """
    with atomic():
        row = lock(Install.objects.filter(pk=install.pk))
        if row is not None and row.superseded_by_id is not None:
            raise BusyError
        yield


class Lease:
    """The right to call OpenTrain for one install."""

    def __init__(self, install_id: int, token: uuid.UUID) -> None:
        self.install_id = install_id
        self.token = token

    def renew(self) -> None:
        """Extend it, before each call of a long run. Raises ``LeaseLostError``."""
        held = Install.objects.filter(pk=self.install_id, lease=self.token)
        if not held.update(leased_until=timezone.now() + LEASE):
            raise LeaseLostError


@contextmanager
def lease(install_id: int) -> Iterator[Lease | None]:
    """Hold the install's lease for the block; None when another process holds it."""
    now, token = timezone.now(), uuid.uuid4()
    free = Install.objects.filter(pk=install_id).filter(Q(leased_until=None) | Q(leased_until__lte=now))
    if not free.update(lease=token, leased_until=now + LEASE):
        yield None
        return
    try:
        yield Lease(install_id, token)
    finally:
        Install.objects.filter(pk=install_id, lease=token).update(lease=None, leased_until=None)


def reread(row: models.Model) -> None:
    """Read a row again that was loaded before its lock or lease. Raises ``BusyError`` when it was deleted since."""
    try:
        row.refresh_from_db()
    except ObjectDoesNotExist:
        raise BusyError from None


@contextmanager
def exclusive_lease(install: Install) -> Iterator[Lease]:
    """Hold the lease of an install, which is refreshed first: it may have been loaded long before.

    Raises ``BusyError`` while another process holds it, and ``ReconnectRequired`` after the customer has disconnected
    here: during offboarding nothing may be created on OpenTrain that it would not find.
    """
    with lease(install.pk) as held:
        if held is None:
            raise BusyError
        reread(install)
        if install.status == Install.Status.DISCONNECTED:
            raise ReconnectRequired
        yield held
