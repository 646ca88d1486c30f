"""What will happen, and when: all of it follows from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

STORY: Final = "story"

#: By kind of step: the mean seconds between two of them, and what it may be, with weights.
RHYTHM: Final[Mapping[str, tuple[float, Mapping[str, int]]]] = {
    STORY: (
        0.6,
        {
            "hire": 30,
            "hire_without_email": 8,
            "hire_known": 10,
            "release_email": 8,
            "end": 24,
            "fund": 8,
            "link": 7,
            "unlink": 5,
            "reconnect": 3,
            "disconnect": 2,
            "leave": 1,
            "verify": 3,
            "nonsense": 4,
        },
    ),
    "kill": (
        7.0,
        {"web": 3, "web child": 2, "worker 1": 3, "worker 2": 3, "worker child": 3, "beat": 2, "sandbox": 2},
    ),
    "broker": (16.0, {"refuse": 2, "silent": 2, "cut": 2}),
    "db": (14.0, {"refuse": 2, "cut": 4}),
    "api": (
        2.5,
        {
            "error 500": 4,
            "error 503": 2,
            "error 429": 3,
            "error 401": 1,
            "error 403": 1,
            "slow": 2,
            "drop": 6,
            "html": 2,
            "empty": 2,
            "truncate": 4,
        },
    ),
    "delivery": (
        1.5,
        {
            "twice": 5,
            "late": 6,
            "answer-lost": 5,
            "lost": 4,
            "again-later": 4,
            "replay": 4,
            "forged": 1,
            "truncated": 1,
            "altered": 1,
            "redated": 1,
            "huge": 1,
            "unsigned": 1,
        },
    ),
    "adapter": (6.0, {"bad day": 2, "kill": 3}),
    "mail": (16.0, {"silent": 3, "refuse": 1, "cut": 1}),
    "opentrain": (14.0, {"drip": 3, "silent": 1, "cut": 1}),
    "flood": (20.0, {"of one customer": 1}),
    "reconnect": (20.0, {"with events waiting": 1}),
    "rotate": (20.0, {"secret": 1}),
    "beat": (25.0, {"second": 1}),
}
FAULTS: Final = tuple(kind for kind in RHYTHM if kind != STORY)


@dataclass(frozen=True)
class Step:
    """One thing that happens."""

    #: Seconds after the start.
    at: float
    kind: str
    what: str
    #: The seed for whatever else is left to chance: whom it meets, how long it lasts.
    dice: int


def make(seed: int, seconds: float, faults: frozenset[str], pace: float = 1.0) -> list[Step]:
    """The steps of a run, in order. Leaving out a kind of fault changes nothing about the others.

    ``pace``: people act so many times as often.
    """
    kinds = [kind for kind in RHYTHM if kind == STORY or kind in faults]
    steps = [step for kind in kinds for step in _of_kind(kind, seed, seconds, pace if kind == STORY else 1.0)]
    return sorted(steps, key=lambda step: step.at)


def _of_kind(kind: str, seed: int, seconds: float, pace: float) -> Iterator[Step]:
    dice = random.Random(f"{seed} {kind}")
    mean, choices = RHYTHM[kind]
    pause = mean / pace
    moment = dice.expovariate(1 / pause)
    while moment < seconds:
        (what,) = dice.choices(list(choices), weights=list(choices.values()))
        yield Step(moment, kind, what, dice.randrange(2**32))
        moment += dice.expovariate(1 / pause)
