"""``python -m tests.chaos.writer FILE SEED``: adds usage, and records what was added.

Several run at once, on the same contracts and days. Each line of FILE is one addition that was committed.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import django
from django.db import OperationalError

django.setup()

from django_opentrain.models import Contract  # noqa: E402 - models are there once Django is set up
from django_opentrain.services import usage  # noqa: E402 - the same

PAUSE = 0.15


def main(path: Path, seed: int) -> None:
    """Add usage to random contracts until SIGTERM, which is heard between two additions."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    dice = random.Random(seed)
    with path.open("a", encoding="utf-8") as ledger:
        while not stopped:
            time.sleep(dice.uniform(0, 2 * PAUSE))
            contracts = list(Contract.objects.select_related("trainer").order_by("-pk")[:25])
            if contracts:
                _work(dice.choice(contracts), dice, ledger)


def _work(contract: Contract, dice: random.Random, ledger: TextIO) -> None:
    day = usage.today() - timedelta(days=dice.choice([0, 0, 0, 1]))
    seconds = dice.randrange(1, 4)
    try:
        row = usage.add(contract, day, total_seconds=seconds, labels_completed=dice.randrange(3))
    except OperationalError:
        return  # nothing was added: SQLite was busy, or MariaDB broke a deadlock
    ledger.write(json.dumps({"usage": row.pk, "total_seconds": seconds}) + "\n")
    ledger.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
