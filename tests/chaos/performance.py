"""One run, from the first customer to the last comparison. Imported once Django is set up."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import requests

from django_opentrain.errors import ReconnectRequired
from django_opentrain.models import Install
from django_opentrain.services import reconcile
from tests.chaos.faults import Faults, with_own_connection
from tests.chaos.invariants import Violation, check, mail_violations
from tests.chaos.people import Customer, make_customers
from tests.chaos.plan import FAULTS, STORY, Step
from tests.chaos.site.adapter import DEATHS
from tests.chaos.stage import Stage
from tests.chaos.story import EXPECTED, Story
from tests.chaos.truth import Truth
from tests.chaos.vitals import Vitals

#: Actions that may wait for OpenTrain at the same time.
AT_ONCE: Final = 3
_LOOK_AGAIN: Final = 2.0
_TEND: Final = 0.2
#: How often all has to be well, one look after the other, before it counts as quiet.
_LOOKS: Final = 2


class Performance:
    """Plays the steps of a plan, then waits until both sides agree."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.customers = make_customers(stage.opentrain)
        self.story = Story(stage.opentrain, self.customers, stage.journal)
        self.faults = Faults(stage, self.story)
        self.vitals = Vitals(stage.crew)
        #: How many events OpenTrain emitted, and how many deliveries it gave up.
        self.events = self.given_up = 0
        #: Seconds after the last fault until all was well; None when it never was.
        self.settled_in: float | None = None

    def play(self, steps: list[Step]) -> None:
        """Connect everybody, with a link for each job; then each step at its time."""
        for customer in self.customers:
            self.story.begin(customer)
        started = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures = [self._take(step, started, pool) for step in steps]
        for future in futures:
            if future is not None:
                future.result()

    def _take(self, step: Step, started: float, pool: ThreadPoolExecutor) -> Future[None] | None:
        self._pass_time(started + step.at)
        if step.kind != STORY:
            self.faults.strike(step)
            return None
        return pool.submit(with_own_connection, lambda: self.story.play(step.what, random.Random(step.dice)))

    def _pass_time(self, until: float) -> None:
        """Nothing happens until then, except that killed processes are started again, and looked at."""
        while (left := until - time.monotonic()) > 0:
            self.stage.crew.tend()
            self.vitals.sample()
            time.sleep(min(left, _TEND))

    def settle(self, patience: float) -> list[Violation]:
        """End all faults, and wait until nothing is violated.

        Returns what still is after ``patience`` seconds.
        """
        for writer in self.stage.writers:
            writer.ask_to_end()
        for writer in self.stage.writers:
            writer.wait(30)
        self.faults.clear()
        ended = time.monotonic()
        well, violations = 0, [Violation("not checked yet")]
        while well < _LOOKS and time.monotonic() < ended + patience:
            self._pass_time(time.monotonic() + _LOOK_AGAIN)
            self._help_out()
            violations = self._look()
            self.stage.journal.write("look", "at what is violated", number=len(violations))
            well = 0 if violations else well + 1
        if not violations:
            self.settled_in = time.monotonic() - ended
        violations += [Violation(f"taken for good: {each}") for each in self.stage.postman.fooled]
        return violations + [Violation(each) for each in self.story.failures]

    def _look(self) -> list[Violation]:
        try:
            truth = Truth(self.stage.opentrain.state(), self.customers)
        except requests.RequestException as error:
            return [Violation(f"OpenTrain doesn't answer: {type(error).__name__}")]
        self.events, self.given_up = len(truth.events), truth.given_up()
        found = check(truth, self.stage.logs, self.stage.ledgers, self.story.tokens)
        return found + list(mail_violations(self.stage.postbox.mails))

    def _help_out(self) -> None:
        """What people do who find things in disorder: OpenTrain heals, tokens are pasted, removals confirmed."""
        try:
            self.stage.opentrain.do("clear_faults")
            truth = Truth(self.stage.opentrain.state(), self.customers)
            for customer in self.customers:
                self._paste_again(customer, truth.active_install(customer))
        except EXPECTED as error:
            self.stage.journal.write("help", "failed", error=type(error).__name__)
            return
        for install in Install.objects.filter(removals_held__gt=0):
            self.stage.journal.write("help", "confirm removals", install=install.opentrain_id)
            with suppress(ReconnectRequired):  # it has just ended
                reconcile.confirm_removals(install)

    def _paste_again(self, customer: Customer, active: str) -> None:
        """A token that could not be taken when it was shown."""
        if not active or Install.objects.filter(opentrain_id=active).exists():
            return
        self.stage.journal.write("help", "paste", customer=customer.name, install=active)
        if customer.install == active:
            self.story.paste(customer)
        else:
            # The answer with the token never came: the customer connects once more.
            self.story.approve(customer, random.Random(0))

    def summary(self) -> str:
        """One line for people."""
        journal, times = self.stage.journal, sorted(self.stage.postman.times)
        slow = "no deliveries"
        if times:
            middle, nearly_all = statistics.median(times), times[int(len(times) * 0.99)]
            slow = f"answers {middle:.3f} s (99 %: {nearly_all:.2f} s, slowest: {times[-1]:.2f} s)"
        settled = "never" if self.settled_in is None else f"{self.settled_in:.0f} s"
        faults = ", ".join(f"{kind} {journal.count(kind)}" for kind in FAULTS)
        counts = f"actions {journal.count('story')}, {faults}"
        return (
            f"events {self.events} (given up: {self.given_up}), {counts},"
            f" found dead {journal.count('crash')}, helped {journal.count('help')}, quiet after {settled}; {slow}"
        )

    def tally(self) -> list[str]:
        """How often each fault occurred, and what came of those that may come to nothing."""
        deaths = self.stage.folder / "data" / DEATHS
        killed = Counter(deaths.read_text().splitlines() if deaths.exists() else ())
        came_of_it = {
            "adapter": f"processes that a call ended: {_counted(killed)}",
            "mail": f"mails accepted: {len(self.stage.postbox.mails)}",
            "opentrain": f"answers that dripped: {self.stage.api.dripped}",
            "reconnect": f"events that waited: {self.story.events_waiting}",
        }
        lines = {kind: [_counted(self.stage.journal.of_kind(kind))] for kind in FAULTS}
        return [
            f"{kind}: {'; '.join(filter(None, [*line, came_of_it.get(kind)]))}"
            for kind, line in lines.items()
        ]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {number}" for what, number in sorted(counts.items())) or "none"
