"""Row locks for what happens in this database, leases for what happens at OpenTrain.

A row lock ends with its transaction, so with the process that held it. A call to OpenTrain can take a minute, too
long to keep a transaction open: those are serialised per install by a lease in the install's row, which ends by
itself when its holder dies.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from django.db import connections, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from django_opentrain.errors import BusyError, LeaseLostError
from django_opentrain.models import Install

M = TypeVar("M", bound=models.Model)

#: Longer than the longest single call (``transport.MAX_CALL_SECONDS``), so that a live holder never loses it in one.
LEASE = timedelta(minutes=5)
#: For how long a call of the host keeps other workers from the same trainer or budget, should its process have ended.
#: A call that takes longer may overlap with another one: what it did is then made sure of again.
CALL_LEASE = timedelta(minutes=1)


def lock(queryset: models.QuerySet[M], *, skip_locked: bool = False) -> M | None:
    """The one row of ``queryset``, locked until the transaction ends; None when there is none.

    With ``skip_locked``, also None when another worker holds it (waits on databases that can't skip). SQLite has no
    row locks: there the first writer takes the whole database, so a write that changes nothing stands in.
    """
    return _locking(queryset, skip_locked=skip_locked).first()


def lock_all(queryset: models.QuerySet[M]) -> list[M]:
    """All rows of ``queryset``, locked in the order of their keys: of two that do so none waits for the other."""
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
    """A transaction in which nobody else writes down news of this install.

    What an event says and what a poll has found are then applied one after the other, each to what the other left.
    Raises ``BusyError`` after a reconnect: what is written down for an install that was taken over stays unseen.
    """
    with transaction.atomic():
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
        """Before each call of a long run. Raises ``LeaseLostError``."""
        mine = Install.objects.filter(pk=self.install_id, lease=self.token)
        if not mine.update(leased_until=timezone.now() + LEASE):
            raise LeaseLostError


@contextmanager
def lease(install_id: int) -> Iterator[Lease | None]:
    """Hold the install's lease for the block; None when somebody else holds it."""
    now, token = timezone.now(), uuid.uuid4()
    free = Install.objects.filter(pk=install_id).filter(Q(leased_until=None) | Q(leased_until__lte=now))
    if not free.update(lease=token, leased_until=now + LEASE):
        yield None
        return
    try:
        yield Lease(install_id, token)
    finally:
        Install.objects.filter(pk=install_id, lease=token).update(lease=None, leased_until=None)


@contextmanager
def exclusive_lease(install: Install) -> Iterator[Lease]:
    """Hold the lease of an install, which is read again: it may have been loaded long before.

    Raises ``BusyError`` while another worker is at it, and when its customer has disconnected here: then the last
    things are done for it, and nothing may be made at OpenTrain that they would not find.
    """
    with lease(install.pk) as held:
        if held is None:
            raise BusyError
        install.refresh_from_db()
        if install.status == Install.Status.DISCONNECTED:
            raise BusyError
        yield held
