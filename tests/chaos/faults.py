"""What goes wrong, by kind. What lasts for a while is undone by a timer; :meth:`Faults.clear` undoes it all."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final

import requests
from django.db import connections

from tests.chaos.plan import Step
from tests.chaos.postman import FORGERIES
from tests.chaos.site.adapter import TROUBLE
from tests.chaos.stage import Stage
from tests.chaos.story import Story
from tests.chaos.wire import PASS, Wire

#: Seconds.
LONGEST_ABSENCE: Final = 4.0
LONGEST_OUTAGE: Final = {"broker": 12.0, "db": 4.0, "mail": 8.0, "opentrain": 6.0}
#: Workers are away while a customer reconnects.
NO_WORKERS: Final = 5.0
#: API calls that can be hit, apart from all at once.
CALLS: Final = (
    ".*",
    ".*",
    "POST /project-links",
    "DELETE /project-links/.*",
    "POST /webhook-endpoints",
    "PATCH /webhook-endpoints/.*",
    "DELETE /webhook-endpoints/.*",
    "POST /contracts/.*/usage",
    "GET /contracts.*",
    "GET /installs/current",
)


class Faults:
    """Does what a plan's steps say."""

    def __init__(self, stage: Stage, story: Story) -> None:
        self.stage = stage
        self.story = story
        self._timers: dict[str, threading.Timer] = {}
        self._trouble = stage.folder / "data" / TROUBLE

    def strike(self, step: Step) -> None:
        """One fault. The journal has it."""
        dice = random.Random(step.dice)
        KINDS[step.kind](self, step.what, dice)

    def clear(self) -> None:
        """All is well again: only what came of it is left."""
        for timer in self._timers.values():
            timer.cancel()
            timer.join()
        for wire in (self.stage.broker, self.stage.database, self.stage.mail, self.stage.api):
            if wire is not None:
                wire.behave(PASS)
        self._be_kind()
        self.stage.postman.orders.clear()
        self.stage.crew.dismiss("beat 2")
        self.stage.crew.raise_all()

    def _kill(self, what: str, dice: random.Random) -> None:
        crew = self.stage.crew
        if what == "web child":
            crew.kill_child("web", dice)
        elif what == "worker child":
            crew.kill_child(dice.choice(["worker 1", "worker 2"]), dice)
        else:
            crew.kill("beat 1" if what == "beat" else what, dice.uniform(0, LONGEST_ABSENCE))
        self.stage.journal.write("kill", what)

    def _broker(self, what: str, dice: random.Random) -> None:
        self._disturb("broker", self.stage.broker, what, dice)

    def _database(self, what: str, dice: random.Random) -> None:
        self._disturb("db", self.stage.database, what, dice)

    def _mail(self, what: str, dice: random.Random) -> None:
        self._disturb("mail", self.stage.mail, what, dice)

    def _opentrain(self, what: str, dice: random.Random) -> None:
        self._disturb("opentrain", self.stage.api, what, dice)

    def _disturb(self, name: str, wire: Wire | None, what: str, dice: random.Random) -> None:
        if wire is None:
            return
        self.stage.journal.write(name, what)
        if what == "cut":
            wire.cut()
            return
        wire.behave(what)
        self._later(name, dice.uniform(1, LONGEST_OUTAGE[name]), lambda: wire.behave(PASS))

    def _api(self, what: str, dice: random.Random) -> None:
        kind, _, status = what.partition(" ")
        match, times = dice.choice(CALLS), dice.randrange(1, 4)
        order: dict[str, object] = {"kind": kind, "match": match, "times": times}
        if status:
            order["status"] = int(status)
        if status == "429":
            order["retryAfter"] = str(dice.randrange(1, 4))
        if kind == "slow":
            order["seconds"] = dice.uniform(1, 5)
        try:
            self.story.opentrain.do("fault", **order)
        except requests.RequestException:
            return  # OpenTrain is down: that's a fault, too
        self.stage.journal.write("api", what, match=match, times=times)

    def _delivery(self, what: str, dice: random.Random) -> None:
        postman = self.stage.postman
        self.stage.journal.write("delivery", what)
        if what in FORGERIES:
            self._aside(lambda: postman.mischief(what, dice))
        elif what == "replay":
            self._aside(lambda: postman.replay(dice))
        else:
            postman.orders.extend([what] * dice.randrange(1, 5))

    def _adapter(self, what: str, dice: random.Random) -> None:
        self._trouble.write_text(f"{dice.choice([0.2, 0.5, 0.9])} 0" if what == "bad day" else "0 0.3")
        self.stage.journal.write("adapter", what)
        self._later("adapter", dice.uniform(2, 8), self._be_kind)

    def _be_kind(self) -> None:
        self._trouble.write_text("0 0")

    def _rotate(self, what: str, dice: random.Random) -> None:
        self._aside(lambda: self.story.strike("rotate", what, dice))

    def _flood(self, what: str, dice: random.Random) -> None:
        self._aside(lambda: self.story.strike("flood", what, dice))

    def _reconnect(self, what: str, dice: random.Random) -> None:
        for name in ("worker 1", "worker 2"):
            self.stage.crew.kill(name, NO_WORKERS)
        self._aside(lambda: self.story.strike("reconnect", what, dice))

    def _second_beat(self, what: str, dice: random.Random) -> None:
        self.stage.start_second_beat()
        self.stage.journal.write("beat", what)
        self._later("beat", dice.uniform(10, 20), lambda: self.stage.crew.dismiss("beat 2"))

    def _later(self, name: str, seconds: float, undo: Callable[[], object]) -> None:
        """Undo it then. A newer fault of the same name has its own end."""
        earlier = self._timers.pop(name, None)
        if earlier is not None:
            earlier.cancel()
        timer = self._timers[name] = threading.Timer(seconds, undo)
        timer.daemon = True
        timer.start()

    def _aside(self, work: Callable[[], object]) -> None:
        threading.Thread(target=with_own_connection, args=[work], daemon=True).start()


def with_own_connection(work: Callable[[], object]) -> None:
    """For a thread: its connections end with it."""
    try:
        work()
    finally:
        connections.close_all()


KINDS: Final[dict[str, Callable[[Faults, str, random.Random], None]]] = {
    "kill": Faults._kill,
    "broker": Faults._broker,
    "db": Faults._database,
    "api": Faults._api,
    "delivery": Faults._delivery,
    "adapter": Faults._adapter,
    "rotate": Faults._rotate,
    "beat": Faults._second_beat,
    "mail": Faults._mail,
    "opentrain": Faults._opentrain,
    "flood": Faults._flood,
    "reconnect": Faults._reconnect,
}
