"""A host's adapter on a bad day: it raises before or after its work, takes its time, or ends its process."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from django.contrib.auth.models import AbstractUser
from django.db import DatabaseError, transaction

from django_opentrain.adapters import AdapterError
from django_opentrain.models import AccessGrant, Contract
from example_project.labelling.adapter import LabellingAdapter

#: Which share of the calls fails, and which share ends its process, as text; written by the runner.
TROUBLE: Final = "adapter-trouble"
#: A line for each process that a call ended: the call, and how far it had come.
DEATHS: Final = "adapter-deaths"
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
        with bad_luck("grant_access"):
            return super().grant_access(grant)

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        with mortal_danger("open_project"):
            super().open_project(user, grant)

    def close_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        with mortal_danger("close_project"):
            super().close_project(user, grant)

    def revoke_access(self, grant: AccessGrant) -> None:
        with bad_luck("revoke_access"):
            super().revoke_access(grant)

    def budget_changed(self, contract: Contract, previous_state: str) -> None:
        with bad_luck("budget_changed"):
            super().budget_changed(contract, previous_state)


@contextmanager
def bad_luck(call: str) -> Iterator[None]:
    """Fail before or after the block, make it slow, or end the process, as often as the runner wants it."""
    share, _ = trouble()
    fate = random.random()
    if fate < share / 3:
        raise _bad_news()
    if fate < share * 2 / 3:
        time.sleep(random.uniform(0, LONGEST_CALL))
    with mortal_danger(call):
        yield
    if share * 2 / 3 <= fate < share:
        raise _bad_news()


@contextmanager
def mortal_danger(call: str) -> Iterator[None]:
    """End the process before or after the block: inside of a transaction where the block is a part of one."""
    _, share = trouble()
    fate = random.random()
    if fate < share / 2:
        _die(f"{call} before")
    yield
    if share / 2 <= fate < share:
        _die(f"{call} after")


def _die(where: str) -> None:
    # The runner calls services, too, and isn't to end.
    if "CHAOS_MORTAL" in os.environ:
        with (Path(os.environ["DATA_DIR"]) / DEATHS).open("a") as file:
            file.write(f"{where}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _bad_news() -> Exception:
    return random.choice(_ERRORS)()


def trouble() -> tuple[float, float]:
    """Which share of the calls is to go wrong now, and which is to end its process."""
    path = Path(os.environ["DATA_DIR"]) / TROUBLE
    failing, lethal = (path.read_text() if path.exists() else "").split() or (0, 0)
    return float(failing), float(lethal)


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
