"""Reconciliation: everything that a webhook would have said is also found by comparing with OpenTrain.

Source: OpenTrain's documentation, "Webhooks" (events are never replayed) and "List contracts". A run takes three
calls if nothing has changed, or two and one for each link where one list is too short for all contracts; once a day
it also fetches each contract's budget and participants. Nothing is revoked because it is absent from a list: a
contract must have ended by its own status, a link must answer 404. Unusually many removals are held until a person
confirms them, and so is what the lists leave in doubt.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from django.db.models import Case, DateTimeField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from django_opentrain import signals
from django_opentrain.conflicts import retried, statements_retried
from django_opentrain.errors import EXPECTED, BusyError, LeaseLostError, LinkConflict, ReconnectRequired
from django_opentrain.explanations import OPENTRAIN_FORBIDDEN, Reason, explain
from django_opentrain.lazy_messages import LazyMessage
from django_opentrain.models import AccessGrant, Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    Forbidden,
    InvalidRequest,
    OpenTrainAPIError,
    OpenTrainError,
    Unauthorized,
)
from django_opentrain.platform.redaction import redact
from django_opentrain.services import endpoints
from django_opentrain.services.access import breaker, grants
from django_opentrain.services.connect import offboarding, refused_installs, tokens
from django_opentrain.services.linking import projects
from django_opentrain.services.reconcile import assertion
from django_opentrain.services.reconcile import held as held_removals
from django_opentrain.services.reconcile.diff import (
    Change,
    contract_changes,
    link_changes,
)
from django_opentrain.services.reconcile.refresh import Refresh
from django_opentrain.services.reconcile.snapshot import TOO_MANY, Snapshot, read_contracts, read_links
from django_opentrain.services.workers import failures, retries, turns
from django_opentrain.services.workers.locks import Lease, exclusive_lease
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import durable

logger = logging.getLogger(__name__)

#: The columns that a run sets, of which the row has the values.
RECORDED: Final = (
    "reconciled_at",
    "asserted_at",
    "access_asked_at",
    "reconcile_attempts",
    "reconcile_summary",
    "removals_held",
)


@dataclass(kw_only=True)
class Outcome:
    """The differences that a run found, and what it did about them."""

    changes: list[Change] = field(default_factory=list)
    #: Removals that the breaker holds back.
    held: list[Change] = field(default_factory=list)
    #: What could not be compared or done.
    problems: list[LazyMessage] = field(default_factory=list)
    #: OpenTrain failed at some of it, so that the run should be retried soon.
    unfinished: bool = False
    #: How many removals had been confirmed when the run began; more than these are held again.
    confirmed: int | None = None
    #: Grants that were not revoked before the run revoked any; counted once there are removals.
    unrevoked: int | None = None
    #: Whether one list of OpenTrain's was too short for all contracts.
    too_many: bool = False
    #: ``next_reconcile_at`` before the lists were read: a later request needs another run.
    planned: datetime | None = None
    #: When all was compared with OpenTrain, and access began to be asserted.
    compared_at: datetime | None = None
    #: Until when each settled grant has had its turn; before ``compared_at`` where that took too long.
    asserted_at: datetime | None = None

    @classmethod
    def begin(cls, row: Install) -> Outcome:
        """The outcome before anything was compared."""
        return cls(confirmed=row.removals_held if row.removals_confirmed else None)

    @property
    def found_nothing(self) -> bool:
        """Whether all was as events had said, and nothing is left open."""
        return not (self.changes or self.held or self.problems or self.unfinished)

    def note(self, what: LazyMessage, error: OpenTrainError | LinkConflict) -> None:
        """OpenTrain refused one step. Raises if it would refuse all others, too."""
        if isinstance(error, Unauthorized) or (isinstance(error, OpenTrainError) and error.asks_for_pause):
            raise error
        self.problems.append(
            LazyMessage(
                "%(what)s: %(error)s",
                {"what": what, "error": redact(str(error)), "code": explain(error).code},
            )
        )
        self.unfinished |= isinstance(error, OpenTrainError) and error.outcome_unknown


@durable
@statements_retried()
def install(install: Install, *, dry_run: bool = False, scheduled: bool = False) -> Outcome:
    """Restore what differs from OpenTrain for one install; with ``dry_run`` only return the differences.

    What ``access_states`` can't say of the host, ``scheduled`` runs restore within a day; others do at once.
    Raises ``BusyError`` while another worker holds it, ``LeaseLostError`` if one took over, ``ReconnectRequired`` if
    the customer has disconnected, ``OpenTrainError`` or ``UndecryptableError`` if OpenTrain can't be called.
    """
    with exclusive_lease(install) as held:
        return _compare(install, held) if dry_run else _run(install, held, scheduled=scheduled)


def confirm_removals(row: Install) -> None:
    """A person has confirmed the removals that the breaker holds.

    Raises ``ReconnectRequired`` if the connection has ended and holds none.
    """
    if not row.is_live and not row.removals_held:
        raise ReconnectRequired
    Install.objects.filter(pk=row.pk).update(removals_confirmed=True)
    retries.request_reconcile(row)


# One run --------------------------------------------------------------------------------------


def _compare(row: Install, held: Lease) -> Outcome:
    outcome, remote = Outcome.begin(row), Snapshot(client=row.client)
    tokens.require_own_token(row, remote.client.get_install())
    for read, compare in ((read_links, link_changes), (read_contracts, contract_changes)):
        read(row, remote, held)
        outcome.changes.extend(_within_breaker(row, list(compare(row, remote)), outcome))
    outcome.problems.extend(remote.problems)
    return outcome


def _run(row: Install, held: Lease, *, scheduled: bool) -> Outcome:
    try:
        outcome = _restore(row, held, scheduled=scheduled)
    except EXPECTED as error:
        _postpone(row, error)
        raise
    known = row.removals_held
    _record(row, outcome)
    if row.removals_held > known:
        signals.send_on_commit(signals.removals_held, Install, install=row)
    return outcome


def _record(row: Install, outcome: Outcome) -> None:
    # Not when it ended: the next run asserts the shares of the hours that have begun since.
    row.reconciled_at, row.asserted_at, row.access_asked_at = outcome.compared_at, outcome.asserted_at, None
    row.reconcile_attempts = row.reconcile_attempts + 1 if outcome.unfinished else 0
    row.reconcile_summary = {
        "changes": [change.line.stored() for change in outcome.changes[:100]],
        "held": [change.text.stored() for change in outcome.held[:100]],
        "problems": [problem.stored() for problem in outcome.problems[:100]],
        held_removals.CONTRACTS: [change.ends for change in outcome.held[: held_removals.MAX_CONTRACTS]],
    }
    if outcome.too_many:
        row.reconcile_summary[TOO_MANY] = True
    row.removals_held = sum(change.removes for change in outcome.held)
    again = None
    if outcome.unfinished:
        again = timezone.now() + retries.backoff(row.reconcile_attempts)
    elif outcome.asserted_at != outcome.compared_at:
        again = timezone.now()  # after what is due by now
    # Not if another run was requested since the lists were read.
    planned = When(_is(outcome.planned), then=Value(again, output_field=DateTimeField()))
    changes = {name: getattr(row, name) for name in RECORDED}
    if outcome.confirmed is not None:
        changes["removals_confirmed"] = row.removals_confirmed = False
    Install.objects.filter(pk=row.pk).update(
        next_reconcile_at=Case(planned, default="next_reconcile_at"),
        in_sync_since=_in_sync_since(row, outcome),
        **changes,
    )


def _in_sync_since(row: Install, outcome: Outcome) -> Coalesce | None:
    """As it was, unless the install was distrusted during the run, or something was found."""
    if not outcome.found_nothing:
        return None
    began = outcome.compared_at if row.in_sync_since is None and turns.has_received(row) else None
    return Coalesce("in_sync_since", Value(began, output_field=DateTimeField()))


def _is(planned: datetime | None) -> Q:
    return Q(next_reconcile_at__isnull=True) if planned is None else Q(next_reconcile_at=planned)


def _restore(row: Install, held: Lease, *, scheduled: bool) -> Outcome:
    outcome, remote = Outcome.begin(row), Snapshot(client=row.client)
    _check_endpoint(row, remote.client, held, outcome)
    outcome.planned = row.next_reconcile_at
    for read, compare in ((read_links, link_changes), (read_contracts, contract_changes)):
        read(row, remote, held)
        changes = _within_breaker(row, list(compare(row, remote)), outcome)
        if changes:
            _make(changes, held, outcome)
            remote.rows = None
    outcome.too_many = remote.too_many
    outcome.problems.extend(remote.problems)
    attempt = partial(_try, outcome=outcome)
    Refresh(install=row, client=remote.client, held=held, attempt=attempt).run()
    grants.correct_pauses(row)
    outcome.compared_at = timezone.now()
    since, limit = (row.asserted_at, assertion.MAX_SECONDS) if scheduled else (None, math.inf)
    outcome.asserted_at = assertion.assert_access(
        row, held, since=since, now=outcome.compared_at, max_seconds=limit
    )
    _ask_for_projects(remote.link_rows(row), held)
    return outcome


def _check_endpoint(row: Install, client: PlatformClient, held: Lease, outcome: Outcome) -> None:
    """Before anything is read: later changes are sent, earlier ones are listed.

    Whose the token is, is proven by the install's own endpoint; where none is listed, OpenTrain is asked.
    """
    what = LazyMessage(_("webhook endpoint"))
    listings: list[endpoints.Listing] = []
    if row.has_scope(catalog.WEBHOOKS_MANAGE):
        _try(what, lambda: listings.append(endpoints.look(row, client)), outcome)
    if not any(listing.is_own for listing in listings):
        tokens.require_own_token(row, client.get_install())
    for listing in listings:
        _try(what, partial(endpoints.repair, listing), outcome)


def _within_breaker(row: Install, changes: list[Change], outcome: Outcome) -> list[Change]:
    """All changes, or those without the removals if these, with earlier ones of this run, are unusually many.

    Contracts that are listed as ended then wait for a person, and doubtful ones always do. A missing link is created
    again: OpenTrain lists which of its contracts have ended.
    """
    if sum(change.removes for change in (*outcome.changes, *changes)) <= (outcome.confirmed or 0):
        return changes
    if outcome.unrevoked is None:
        outcome.unrevoked = AccessGrant.objects.unrevoked().filter(contract__install=row).count()
    outcome.held.extend(change for change in changes if change.doubtful)
    changes = [change for change in changes if not change.doubtful]
    removals = sum(change.removes for change in (*outcome.changes, *changes))
    if not breaker.is_unusual(removals, outcome.unrevoked):
        return changes
    logger.error(
        "Install %s: OpenTrain's lists would revoke %d of %d grants. Nothing is revoked until it is confirmed."
        " [removals-held]",
        row.opentrain_id,
        removals,
        outcome.unrevoked,
        extra=row.log_fields,
    )
    outcome.held.extend(change for change in changes if change.removes and change.instead is None)
    return [change.instead or change for change in changes if change.instead or not change.removes]


def _make(changes: Iterable[Change], held: Lease, outcome: Outcome) -> None:
    for change in changes:
        held.renew()
        if _try(change.text, change.make, outcome):
            outcome.changes.append(change)


def _try(what: LazyMessage, step: Callable[[], object], outcome: Outcome) -> bool:
    """Take one step; returns whether OpenTrain accepted it."""
    try:
        step()
    except (LinkConflict, InvalidRequest, OpenTrainAPIError) as error:
        outcome.note(what, error)
        return False
    return True


def _ask_for_projects(links: Iterable[ProjectLink], held: Lease) -> None:
    """Last, since it is the host's code: whatever becomes of it, the install is as OpenTrain says."""
    for link in projects.to_ask(links):
        held.renew()
        projects.ask(link)


# When -----------------------------------------------------------------------------------------


def _postpone(row: Install, error: Exception) -> None:
    if isinstance(error, (BusyError, LeaseLostError)):
        return  # the other worker decides when to continue
    row.refresh_from_db()
    attempts, again = retries.next_attempt(row.reconcile_attempts + 1, error)
    Install.objects.filter(pk=row.pk).update(reconcile_attempts=attempts, next_reconcile_at=again)
    if not row.last_error:
        Install.objects.filter(pk=row.pk).update(**Reason.of(error).columns("last_error"))


def _due() -> QuerySet[Install]:
    """Installs that are due, the longest waiting first."""
    now = timezone.now()
    alive = Q(status__in=Install.LIVE) | Q(status=Install.Status.DISCONNECTED, token__isnull=False)
    rested = Q(paused_until=None) | Q(paused_until__lte=now)
    return Install.objects.filter(alive, rested, next_reconcile_at__lte=now).order_by("next_reconcile_at")


@statements_retried()
def run_due() -> int:
    """Reconcile every install that is due and that no other worker holds; returns how many were tried."""
    return sum(each_due())


def each_due() -> Iterator[bool]:
    """Do what ``run_due`` does, and yield after each install whether it was tried."""
    for pk in list(_due().values_list("pk", flat=True)):
        row = _due().filter(pk=pk).first()
        if row is None:
            continue  # another worker was faster
        try:
            reconcile_or_finish(row)
        except BusyError:
            yield False
            continue
        except Exception as error:  # no failure of one customer's may delay other customers
            failures.log_failure(logger, "Reconciling", row, error)
            if not isinstance(error, EXPECTED):
                _postpone(row, error)
            if isinstance(error, soft_time_limit()):
                raise
        yield True


def reconcile_or_finish(row: Install, *, scheduled: bool = True) -> Outcome:
    """Do what an install needs, which was just loaded: finish its offboarding, check whether it is still refused, or
    reconcile.

    Raises as ``install`` does; ``OpenTrainError`` also if OpenTrain refuses.
    """
    if row.status == Install.Status.DISCONNECTED:
        offboarding.finish(row)
        return Outcome()
    refused = row.status == Install.Status.UNAUTHORIZED or row.last_error_code == OPENTRAIN_FORBIDDEN
    # A reconnect has to know whose the install is, and can't ask any more.
    if refused or not row.organization_id:
        _recheck(row)
    return install(row, scheduled=scheduled)


def _recheck(row: Install) -> None:
    """OpenTrain refused the last call: check whether it refuses the install. Raises its error."""
    try:
        tokens.verify(row)
    except EXPECTED as error:
        _postpone(row, error)
        if isinstance(error, (Unauthorized, Forbidden)) and error.from_opentrain:
            refused_installs.end_access(row)
        raise


@retried
def request_all() -> int:
    """Make every live install due, whenever its turn would be; returns how many were not due yet."""
    now = timezone.now()
    waiting = Install.objects.live().filter(Q(next_reconcile_at=None) | Q(next_reconcile_at__gt=now))
    return waiting.update(next_reconcile_at=now)
