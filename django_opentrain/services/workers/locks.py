"""Row locks for changes in this database, leases for calls to OpenTrain.

A row lock ends with its transaction, so with the process that holds it. A call to OpenTrain can take minutes, too
long for an open transaction: such calls are serialised per install by a lease in the install's row, which expires if
its holder dies.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.utils import timezone

from django_opentrain.errors import BusyError, LeaseLostError, ReconnectRequired
from django_opentrain.models import Install
from django_opentrain.transactions import atomic

M = TypeVar("M", bound=models.Model)

#: Longer than the longest single call (``deadlines.MAX_CALL_SECONDS``), so that a live holder never loses it in one.
LEASE = timedelta(minutes=5)
#: How long a call to the host keeps other workers from the same trainer or budget, even if its process has ended.
#: A longer call may overlap with another one: its result is then checked again.
CALL_LEASE = timedelta(minutes=1)
#: How old a lease may be at the begin of a call that may be made twice: what is left is longer than the longest call.
FRESH = timedelta(seconds=30)


def lock(queryset: models.QuerySet[M]) -> M | None:
    """The one row of ``queryset``, locked until the transaction ends; None when there is none."""
    return _locking(queryset).first()


def lock_all(queryset: models.QuerySet[M]) -> list[M]:
    """All rows of ``queryset``, locked in the order of their keys, so that two callers don't deadlock."""
    return list(_locking(queryset.order_by("pk")))


def _locking(queryset: models.QuerySet[M], *, skip_locked: bool = False) -> models.QuerySet[M]:
    connection = connections[queryset.select_for_update().db]
    key = queryset.model._meta.pk.attname
    if connection.features.has_select_for_update:
        skip_locked = skip_locked and connection.features.has_select_for_update_skip_locked
        locked = queryset.select_for_update(skip_locked=skip_locked)
        if not _keeps_its_snapshot(connection):
            return locked
        # In the order of the keys, which an UPDATE doesn't keep to; and it would wait for what was skipped.
        queryset = queryset.filter(pk__in=list(locked.values_list(key, flat=True)))
    # SQLite has no row locks: its first writer locks the whole database.
    queryset.order_by().update(**{key: F(key)})
    return queryset


#: By the driver's connection.
_snapshots_kept: Final[MutableMapping[object, bool]] = WeakKeyDictionary()


def _keeps_its_snapshot(connection: BaseDatabaseWrapper) -> bool:
    """Whether a transaction that has waited for a lock goes on with what it saw before.

    So it is on PostgreSQL under REPEATABLE READ, unless who held the lock has changed the row: then it fails, and is
    repeated. So whoever locks a row there changes it.
    """
    if connection.vendor != "postgresql":
        return False
    kept = _snapshots_kept.get(connection.connection)
    if kept is None:
        # The driver's own cursor: what Django counts and logs doesn't depend on which lock was the first.
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            kept = _snapshots_kept[connection.connection] = cursor.fetchone() == ("repeatable read",)
    return kept


#: The installs whose rows the running transaction has locked.
_locked: Final[ContextVar[frozenset[int]]] = ContextVar("locked", default=frozenset())


@contextmanager
def locked(pk: int, *, wait: bool = True) -> Iterator[Install | None]:
    """A transaction in which this install's row is locked; the row, or None when there is none.

    Without ``wait``, None as well when another process has locked it, where the database can say so.
    """
    with atomic():
        row = _locking(Install.objects.filter(pk=pk), skip_locked=not wait).first()
        token = _locked.set(_locked.get() | {pk})
        try:
            yield row
        finally:
            _locked.reset(token)


@contextmanager
def install_lock(install: Install) -> Iterator[None]:
    """A transaction in which no other process records changes of this install's data.

    So an event and a poll are applied one after the other, the second to the result of the first. Inside of another
    such block for the same install it costs nothing. Raises ``BusyError`` after a reconnect: what is recorded for an
    install that was taken over has no effect.
    """
    if install.pk in _locked.get():
        yield
        return
    with locked(install.pk) as row:
        if row is not None and row.superseded_by_id is not None:
            raise BusyError
        yield


class Lease:
    """The right to call OpenTrain for one install."""

    def __init__(self, install_id: int, token: uuid.UUID) -> None:
        self.install_id = install_id
        self.token = token
        self._renewed_at = timezone.now()

    def renew(self, **changes: Any) -> None:
        """Extend it, before each change of a long run; ``changes`` of the install are written with it.

        Raises ``LeaseLostError``.
        """
        now = timezone.now()
        held = Install.objects.filter(pk=self.install_id, lease=self.token)
        if not held.update(leased_until=now + LEASE, **changes):
            raise LeaseLostError
        self._renewed_at = now

    def keep(self) -> None:
        """Extend it before a call that may be made twice, unless it was just now. Raises ``LeaseLostError``."""
        if timezone.now() - self._renewed_at > FRESH:
            self.renew()


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
