"""A host's adapter on a bad day: it raises before or after its work, or takes its time."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Final

from django.db import DatabaseError, transaction

from django_opentrain.adapters import AdapterError, DayUsage
from django_opentrain.models import AccessGrant, Contract
from example_project.labelling.adapter import LabellingAdapter

#: Which share of the calls fails, as text; written by the runner.
TROUBLE: Final = "adapter-trouble"
LONGEST_CALL: Final = 1.5

_ERRORS: Final[tuple[Callable[[], Exception], ...]] = (
    lambda: RuntimeError("the host's code has a bad day"),
    lambda: AdapterError("the host says no"),
    lambda: DatabaseError("the host's database is away"),
    lambda: TimeoutError("the host's directory service doesn't answer"),
    lambda: KeyError("user"),
)


class UnreliableAdapter(LabellingAdapter):
    """The example's, as often as it works."""

    def grant_access(self, grant: AccessGrant) -> str:
        with bad_luck():
            return super().grant_access(grant)

    def revoke_access(self, grant: AccessGrant) -> None:
        with bad_luck():
            super().revoke_access(grant)

    def budget_changed(self, contract: Contract, previous_state: str) -> None:
        with bad_luck():
            super().budget_changed(contract, previous_state)

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterator[DayUsage]:
        with bad_luck():
            yield from super().collect_usage(contract, since, until)


@contextmanager
def bad_luck() -> Iterator[None]:
    """Fail before or after the block, or make it slow, as often as the runner wants it."""
    share = trouble()
    fate = random.random()
    if fate < share / 3:
        raise _bad_news()
    if fate < share * 2 / 3:
        time.sleep(random.uniform(0, LONGEST_CALL))
    yield
    if share * 2 / 3 <= fate < share:
        raise _bad_news()


def _bad_news() -> Exception:
    return random.choice(_ERRORS)()


def trouble() -> float:
    """Which share of the calls is to go wrong now."""
    path = Path(os.environ["DATA_DIR"]) / TROUBLE
    return float(path.read_text() or 0) if path.exists() else 0.0


class HeldAdapter(LabellingAdapter):
    """Gives access, says so in a file, and waits for as long as another file is there: all in one transaction."""

    @transaction.atomic
    def grant_access(self, grant: AccessGrant) -> str:
        account = super().grant_access(grant)
        folder = Path(os.environ["DATA_DIR"])
        with (folder / "inside").open("a") as file:
            file.write(f"{grant.pk}\n")
        while (folder / "hold").exists():
            self.wait()
        return account

    def wait(self) -> None:
        time.sleep(0.05)


class DeafAdapter(HeldAdapter):
    """Nothing that is raised while it waits gets through to it, as in a library that is stuck."""

    def wait(self) -> None:
        with suppress(Exception):
            super().wait()


class LethalAdapter(LabellingAdapter):
    """Ends its process over the first trainer, as a segfault does, for as long as there is ``hold``."""

    def grant_access(self, grant: AccessGrant) -> str:
        folder = Path(os.environ["DATA_DIR"])
        if (folder / "hold").exists() and grant.pk == AccessGrant.objects.order_by("pk").values_list("pk")[0][
            0
        ]:
            (folder / "inside").touch()
            os._exit(1)
        return super().grant_access(grant)
