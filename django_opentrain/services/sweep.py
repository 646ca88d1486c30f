"""Everything that is due, once: what the sweep, ``opentrain_work`` and the test kit run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from django_opentrain.services import access, inbox, reconcile
from django_opentrain.services.access import contracts
from django_opentrain.services.connect import reconnect
from django_opentrain.services.usage import runs

#: Seconds after which a scheduled sweep begins with no other install: the next one goes on.
MAX_SWEEP_SECONDS: Final = 120


@dataclass(frozen=True, kw_only=True)
class WorkReport:
    """How much there was to do."""

    events: int
    grants: int
    installs: int
    budgets: int
    usage: int = 0

    def __bool__(self) -> bool:
        return any((self.events, self.grants, self.installs, self.budgets, self.usage))


def process_due(*, max_seconds: float = math.inf) -> WorkReport:
    """What an event or a person has set off: events, access, reconciliations and budget news.

    What comes in while many installs are reconciled waits for one of them, not for all. No further install is begun
    after ``max_seconds``.
    """
    until = time.monotonic() + max_seconds
    events, installs = inbox.drain(), 0
    reconnect.end_abandoned()
    grants = access.converge_due()
    for _install in reconcile.each_due():
        installs += 1
        events += inbox.drain()
        grants += access.converge_due()
        if time.monotonic() >= until:
            break
    return WorkReport(events=events, grants=grants, installs=installs, budgets=contracts.announce_budgets())


def run(*, usage: bool = True) -> WorkReport:
    """All of it, with the usage that is to be collected and reported unless that has a schedule of its own."""
    done = process_due()
    accepted = runs.run_due() if usage else 0
    budgets = contracts.announce_budgets() if accepted else 0
    return WorkReport(
        events=done.events,
        grants=done.grants,
        installs=done.installs,
        budgets=done.budgets + budgets,
        usage=accepted,
    )
