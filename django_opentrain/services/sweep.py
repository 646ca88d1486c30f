"""Everything that is due, once: run by the sweep, ``opentrain_work`` and the test kit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from django_opentrain.conflicts import statements_retried
from django_opentrain.services import access, clock, inbox, reconcile
from django_opentrain.services.access import contracts, invitations
from django_opentrain.services.connect import reconnect
from django_opentrain.services.usage import runs

#: Seconds after which a scheduled sweep stops: the next one continues.
MAX_SWEEP_SECONDS: Final = 120
#: Seconds after which the next kind of work has its turn.
SLICE_SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class WorkReport:
    """How much was done."""

    events: int
    grants: int
    installs: int
    budgets: int
    usage: int = 0
    #: First-login mails.
    mails: int = 0

    def __bool__(self) -> bool:
        return any((self.events, self.grants, self.installs, self.budgets, self.usage, self.mails))


class Stage:
    """One kind of work, done in slices, so that a flood of it doesn't delay the others.

    :param each_due: does what is due, and yields after each item how much was done.
    """

    def __init__(self, each_due: Callable[[], Iterator[int]]) -> None:
        self._each_due = each_due
        self._running: Iterator[int] | None = None
        self.done = 0

    def take_turn(self, stopping: Callable[[], bool]) -> bool:
        """Work for a slice of time, or until ``stopping()`` is true; returns whether there may be more to do."""
        until, before = time.monotonic() + SLICE_SECONDS, self.done
        resumed = self._running is not None
        self._running = self._running or self._each_due()
        for done in self._running:
            self.done += done
            if stopping() or time.monotonic() >= until:
                return True
        self._running = None
        # What was due when the work was started is done: more may be due by now.
        return resumed or self.done > before


@statements_retried()
def process_due(*, max_seconds: float = math.inf, stopping: Callable[[], bool] = bool) -> WorkReport:
    """Process due events, grants, reconciliations, budget changes and mails, in fair rounds.

    Stops after the current item when ``max_seconds`` have passed, or ``stopping()`` is true: what is left stays due.
    """
    clock.correct_waits()
    until = time.monotonic() + max_seconds

    def ends() -> bool:
        return stopping() or time.monotonic() >= until

    events, grants = Stage(inbox.each_due), Stage(access.each_due)
    installs, budgets = Stage(reconcile.each_due), Stage(contracts.each_budget_announced)
    mails = Stage(invitations.each_due)
    while True:
        # In each round: an event of this one may have revoked an install.
        reconnect.end_abandoned()
        # Not a generator: each kind has to have its turn.
        more = [stage.take_turn(ends) for stage in (events, grants, installs, budgets, mails)]
        if ends() or not any(more):
            break
    return WorkReport(
        events=events.done,
        grants=grants.done,
        installs=installs.done,
        budgets=budgets.done,
        mails=mails.done,
    )


def run(*, usage: bool = True, stopping: Callable[[], bool] = bool) -> WorkReport:
    """All of it, with usage unless that has a schedule of its own."""
    done = process_due(stopping=stopping)
    if not usage or stopping():
        return done
    accepted = runs.run_due(stopping=stopping)
    budgets = contracts.announce_budgets() if accepted else 0
    return replace(done, budgets=done.budgets + budgets, usage=accepted)
