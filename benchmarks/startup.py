"""What starting a site costs more with ``django_opentrain`` in it: CPU, memory and modules.

::

    python -m benchmarks.startup [--rounds 15]

The site has Django REST framework and Celery in any case (``benchmarks/bare_site``). Processes start in turns, one
without and one with the package; the medians of what they took are subtracted. The second part is a web worker that
has answered its first delivery, the other site's by a view that stores nothing: by then the URLs are loaded, and a
secret has been decrypted. Linux: ``getrusage`` counts in KB there.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lines import Line, command

# This process imports nothing large: Linux counts its memory into its children's peak.

#: What a process prints, and how much more of it ``django.setup()`` may take.
COSTS: tuple[tuple[str, str, float | None], ...] = (
    ("CPU", "ms", 60),
    ("memory", "MB", 8),
    ("modules", "modules", None),
)
WITHOUT, WITH = "rest_framework", "rest_framework django_opentrain"
SECRET = f"whsec_{'0' * 32}"
#: Migrates, and makes an endpoint with ``SECRET``; prints its path.
PREPARE = f"""
import django
django.setup()
from django.core.management import call_command
from django_opentrain.models import Install, WebhookEndpoint
call_command("migrate", verbosity=0)
install = Install.objects.create(tenant="acme", opentrain_id="ins_1", status=Install.Status.ACTIVE)
endpoint = WebhookEndpoint(install=install, opentrain_id="whe_1", secret="{SECRET}")
endpoint.status = WebhookEndpoint.Status.ACTIVE
endpoint.save()
print(f"/opentrain/webhooks/{{endpoint.key}}/")
"""


def environment(folder: Path, apps: str) -> dict[str, str]:
    """Of a process of the site: its modules are compiled once, as an installed package's are."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "DJANGO_SETTINGS_MODULE": "benchmarks.bare_site.settings",
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        "SITE_APPS": apps,
        "SITE_DATABASE": str(folder / "db.sqlite3"),
    }


def run(arguments: list[str], folder: Path, apps: str) -> str:
    """What a process of the site prints. Raises ``CalledProcessError``."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(folder, apps),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def delivery(path: str) -> list[str]:
    """The arguments of a process that answers a new delivery."""
    event = {"id": f"evt_{time.time_ns()}", "type": "contract.started", "apiVersion": "v1", "data": {}}
    about = {"createdAt": "2026-11-22T10:00:00.000Z", "resourceId": "ctr_1", "jobId": "job_1"}
    body, stamp = json.dumps({**event, **about}), int(time.time())
    signed = hmac.new(SECRET.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return [path, body, f"t={stamp},v1={signed}"]


def costs(folder: Path, apps: str, path: str | None) -> list[float]:
    """Of one process, in the order of ``COSTS``."""
    arguments = ["-m", "benchmarks.starting", *(delivery(path) if path else [])]
    return [float(each) for each in run(arguments, folder, apps).split()]


def medians(runs: list[list[float]]) -> list[float]:
    """Of each cost."""
    return [statistics.median(each) for each in zip(*runs, strict=True)]


def increases(folder: Path, rounds: int, paths: tuple[str | None, str | None]) -> list[float]:
    """What the site with the package takes more, at the medians. The first round compiles, and is left out."""
    without, with_package = [], []
    for number in range(rounds + 1):
        pair = costs(folder, WITHOUT, paths[0]), costs(folder, WITH, paths[1])
        if number:
            without.append(pair[0])
            with_package.append(pair[1])
    return [more - less for less, more in zip(medians(without), medians(with_package), strict=True)]


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What starting costs more, and what a web worker then holds more."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = increases(folder, options.rounds, (None, None))
        for (what, unit, limit), more in zip(COSTS, started, strict=True):
            yield Line(name=f"started: more {what}", unit=unit, ours=more, limit=limit)
        path = run(["-c", PREPARE], folder, WITH)
        answered = increases(folder, options.rounds, ("/receive/", path))
        for (what, unit, _limit), more in zip(COSTS, answered, strict=True):
            yield Line(name=f"first delivery answered: more {what}", unit=unit, ours=more)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    command(measure, parser)


if __name__ == "__main__":
    main()
