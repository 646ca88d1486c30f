"""The rows that changes to one install's data concern: read together, changed in memory, written in few statements.

So a hundred events cost about as many statements as one. The rules stay where they are (``contracts``,
``participants``, ``linking.records``): they change rows, and what differs from what was read is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from django.db import OperationalError, connections
from django.db.models import Model

from django_opentrain.conflicts import CHANGED
from django_opentrain.fields import Ciphertext
from django_opentrain.models import AccessGrant, Contract, Install, Participant, ProjectLink
from django_opentrain.services.access import grants
from django_opentrain.services.workers import retries, wakeup
from django_opentrain.services.workers.locks import install_lock, lock_all

Row = TypeVar("Row", Contract, Participant, ProjectLink)

#: What is erased of a trainer.
PERSONAL: Final = ("display_name", "country", "profile_url", "work_email", "purged_at")


class Rows(Generic[Row]):
    """An install's rows of one table, by OpenTrain's id."""

    def __init__(self, install: Install, model: type[Row], key: str, *, shared: Collection[str] = ()) -> None:
        """``shared`` are columns that processes change which have not locked the install."""
        self._install = install
        self._model: type[Row] = model
        self._key = key
        self._shared: Final = frozenset(shared)
        self._expected: set[str] = set()
        self._by_id: dict[str, Row | None] = {}
        #: What was read, by its key, and the columns as they were then.
        self._read: dict[int, tuple[Row, dict[str, Any]]] = {}

    def __iter__(self) -> Iterator[Row]:
        yield from (row for row, _columns in self._read.values())
        yield from (row for row in self._by_id.values() if row is not None and _is_new(row))

    def expect(self, ids: Iterable[str]) -> None:
        """These will be asked for: they are read with the first one."""
        self._expected.update(filter(None, ids))

    def get(self, opentrain_id: str) -> Row | None:
        """The row with this id, None if there is none."""
        if opentrain_id not in self._by_id:
            missing = (self._expected | {opentrain_id}) - self._by_id.keys()
            self._by_id.update(dict.fromkeys(missing))
            self.find(**{f"{self._key}__in": missing})
        return self._by_id[opentrain_id]

    def get_or_add(self, opentrain_id: str) -> tuple[Row, bool]:
        """The row with this id, and whether it is new."""
        row = self.get(opentrain_id)
        if row is not None:
            return row, False
        return self.put(opentrain_id, self._model(install=self._install, **{self._key: opentrain_id})), True

    def put(self, opentrain_id: str, row: Row) -> Row:
        """Have this row under this id."""
        # Behind those that were put before: rows are inserted in the order of their events.
        self._by_id.pop(opentrain_id, None)
        self._by_id[opentrain_id] = row
        return row

    def find(self, **lookups: Any) -> list[Row]:
        """Read these rows. What was read before is as it was changed since."""
        rows = self._model._default_manager.filter(install=self._install, **lookups)
        return [self._known(row) for row in rows]

    def _known(self, row: Row) -> Row:
        if row.pk in self._read:
            return self._read[row.pk][0]
        row.install = self._install
        self._read[row.pk] = row, _columns(row)
        if opentrain_id := getattr(row, self._key):
            self._by_id[opentrain_id] = row
        return row

    def write(self) -> None:
        """Update what has changed, insert what is new, and forget all of it."""
        new: list[Row] = [row for row in self if _is_new(row)]
        if changed := [row for row, _columns in self._read.values() if self._changed(row)]:
            # First: a removed link makes room for the project's next one.
            self._update(sorted(changed, key=_key_of))
        self._insert(new)
        self._by_id.clear()
        self._read.clear()

    def _changed(self, row: Row) -> list[str]:
        (_row, before), now = self._read[row.pk], vars(row)
        return [name for name, value in before.items() if now[name] != value]

    def _insert(self, rows: Sequence[Row]) -> None:
        if connections[self._model._default_manager.db].features.can_return_rows_from_bulk_insert:
            self._model._default_manager.bulk_create(rows)
        else:  # MySQL gives no keys for rows that are inserted together
            for row in rows:
                row.save(force_insert=True)

    def _update(self, rows: Sequence[Row]) -> None:
        names = {name for row in rows for name in self._changed(row)} | {"updated_at"}
        # Of several, each gets all columns that one of them has changed.
        if len(rows) > 1 or names & self._shared:
            self._refuse_outdated(rows, names)
        if len(rows) == 1:
            rows[0].save(update_fields=names)
        else:
            _upsert(rows, names)

    def _refuse_outdated(self, rows: Sequence[Row], names: Iterable[str]) -> None:
        """Raises a conflict, so that all is repeated, if another process has changed what would be overwritten."""
        for current in lock_all(self._model._default_manager.filter(pk__in=[row.pk for row in rows])):
            (_row, before), now = self._read[current.pk], vars(current)
            if any(_comparable(now[name]) != _comparable(before[name]) for name in names):
                raise OperationalError(CHANGED)


def _columns(row: Model) -> dict[str, Any]:
    values = vars(row)
    return {field.attname: values[field.attname] for field in row._meta.concrete_fields}


def _comparable(value: Any) -> Any:
    return value.data if isinstance(value, Ciphertext) else value


def _is_new(row: Model) -> bool:
    return row._state.adding  # noqa: SLF001 - documented


def _key_of(row: Model) -> int:
    """What a row is known by in this process, before it has a key, too."""
    return -id(row) if _is_new(row) else int(row.pk)


def _upsert(rows: Sequence[Row], names: Iterable[str]) -> None:
    """Update these columns of rows that exist, in one statement.

    ``bulk_update()`` takes 12 times as long: it compiles an expression for each column of each row.
    """
    manager = type(rows[0])._default_manager
    has_target = connections[manager.db].features.supports_update_conflicts_with_target
    created = [row.created_at for row in rows]
    manager.bulk_create(
        rows,
        update_conflicts=True,
        update_fields=list(names),
        unique_fields=["id"] if has_target else None,
    )
    # What is only set at an INSERT was set.
    for row, created_at in zip(rows, created, strict=True):
        row.created_at = created_at


class UnitOfWork:
    """Changes to the data of one install, whose row is locked; ``write()`` makes them."""

    def __init__(self, install: Install) -> None:
        self.install: Final = install
        # Budgets that are fetched, and erasure, wait for no install's lock.
        self.contracts: Final = Rows(install, Contract, "opentrain_id", shared=["budget_updated_at"])
        self.participants: Final = Rows(install, Participant, "opentrain_user_id", shared=PERSONAL)
        self.links: Final = Rows(install, ProjectLink, "opentrain_id")
        self._begin()

    def _begin(self) -> None:
        # By _key_of() each.
        self._trainers: dict[int, tuple[Contract, Participant]] = {}
        self._linked: dict[tuple[int, int], tuple[Contract, ProjectLink]] = {}
        self._grants: dict[tuple[int, int, int], AccessGrant] = {}
        self._budgets: dict[int, Contract] = {}
        self._ended: dict[int, tuple[Contract, str]] = {}
        self._removed: dict[int, tuple[ProjectLink, str]] = {}
        # By the rows' keys.
        self._grants_read: set[int] = set()
        self._new_emails: dict[int, Participant] = {}
        self._new_details: dict[int, Participant] = {}
        self._revived: dict[int, str] = {}
        self._reconcile = False

    # What is to be done -----------------------------------------------------------------------

    def set_trainer(self, contract: Contract, trainer: Participant) -> None:
        """This trainer was hired."""
        contract.trainer = trainer
        self._trainers[_key_of(contract)] = contract, trainer

    def add_email(self, participant: Participant) -> None:
        """The trainer's Work Email is new: their grants are due."""
        if not _is_new(participant):
            self._new_emails[participant.pk] = participant

    def add_details(self, participant: Participant) -> None:
        """What the host may show of the trainer has changed."""
        if not _is_new(participant):
            self._new_details[participant.pk] = participant

    def add_link(self, contract: Contract, link: ProjectLink) -> None:
        """The contract is one of this link's job."""
        self._linked[_key_of(contract), _key_of(link)] = contract, link

    def grant(self, contract: Contract, link: ProjectLink, participant: Participant, cause: str) -> None:
        """What ``grants.grant`` does."""
        self._read_grants(contract)
        key = _key_of(contract), _key_of(link), _key_of(participant)
        row = self._grants.get(key)
        if row is None:
            self._grants[key] = grants.new(contract, link, participant, cause)
        elif grants.is_revivable(row):
            self._revived.setdefault(row.pk, cause)
        if link.stop_when_depleted:
            self.follow_budget(contract)

    def follow_budget(self, contract: Contract) -> None:
        """The contract's budget has changed, or whether that stops work."""
        self._budgets[_key_of(contract)] = contract

    def revoke_contract(self, contract: Contract, cause: str) -> None:
        """The contract has ended: nothing gives access under it."""
        self._ended.setdefault(_key_of(contract), (contract, cause))

    def revoke_link(self, link: ProjectLink, cause: str) -> None:
        """The link was removed: nothing gives access through it."""
        self._removed.setdefault(_key_of(link), (link, cause))

    def request_reconcile(self) -> None:
        """Reconcile the install as soon as a worker is free."""
        self._reconcile = True

    def _read_grants(self, contract: Contract) -> None:
        if _is_new(contract) or contract.pk in self._grants_read:
            return
        keys = {contract.pk, *(row.pk for row in self.contracts if not _is_new(row))} - self._grants_read
        self._grants_read |= keys
        for row in AccessGrant.objects.filter(contract__in=keys):
            self._grants[row.contract_id, row.link_id, row.participant_id] = row

    # Doing it ---------------------------------------------------------------------------------

    def write(self) -> None:
        """Make all changes, and begin anew.

        What revokes comes last: in whatever order events say it, an end is final.
        """
        self._write_rows()
        self._write_links()
        self._write_grants()
        if self._ended:
            grants.revoke_each("contract", {row.pk: cause for row, cause in self._ended.values()})
        if self._removed:
            grants.revoke_each("link", {row.pk: cause for row, cause in self._removed.values()})
        if self._reconcile:
            retries.request_reconcile(self.install)
        self._begin()

    def _write_rows(self) -> None:
        self.participants.write()
        if self._new_emails:
            grants.email_arrived(*self._new_emails.values())
        if self._new_details:
            grants.details_changed(*self._new_details.values())
        self.links.write()
        for contract, trainer in self._trainers.values():
            contract.trainer = trainer  # who has a key by now
        self.contracts.write()

    def _write_links(self) -> None:
        through = Contract.links.through
        known: set[tuple[int, int]] = set()
        if old := {contract for contract, _link in self._linked if contract > 0}:
            rows = through.objects.filter(contract__in=old)
            known = set(rows.values_list("contract", "projectlink"))
        wanted = {(contract.pk, link.pk) for contract, link in self._linked.values()}
        through.objects.bulk_create(
            through(contract_id=contract, projectlink_id=link) for contract, link in sorted(wanted - known)
        )

    def _write_grants(self) -> None:
        new = [*filter(_is_new, self._grants.values())]
        AccessGrant.objects.bulk_create(new)
        if self._revived:
            grants.revive_each(self._revived)
        if new or self._revived:
            wakeup.wake_workers_on_commit()
        if self._budgets:
            grants.follow_budgets(
                AccessGrant.objects.filter(contract__in=[row.pk for row in self._budgets.values()])
            )


@contextmanager
def unit_of_work(install: Install) -> Iterator[UnitOfWork]:
    """The install's lock, and what the block changes is written at its end. Raises ``BusyError`` as the lock does."""
    with install_lock(install):
        unit = UnitOfWork(install)
        yield unit
        unit.write()
