"""A host whose ``collect_usage`` really ends its process, with a database that other processes see."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DIED = 9

SITE = """
import json
import os
import sys

import django
from django.conf import settings

from tests import settings as suite

values = {name: value for name, value in vars(suite).items() if name.isupper()}
values["DATABASES"] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}}
values["OPENTRAIN"] = {**suite.OPENTRAIN, "ADAPTER": "tests.services.conftest.RecordingAdapter"}
settings.configure(**values)
django.setup()

from django.core.management import call_command
from django.db import connections

from django_opentrain.adapters import DayUsage
from django_opentrain.services.usage import runs
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import RecordingAdapter

call_command("migrate", verbosity=0)
with OpenTrain() as opentrain:
    opentrain.connect("acme")
    opentrain.link("p1")
    bad, good = opentrain.hire("Al"), opentrain.hire("Bo")
    opentrain.run()

    def collect(_adapter, contract, since, until):
        if contract.opentrain_id == bad.id:
            os._exit(int(sys.argv[2]))
        return [DayUsage(work_date=until, total_seconds=60)]

    RecordingAdapter.collect_usage = collect

    def run():
        connections.close_all()
        child = os.fork()
        if not child:
            runs.run_due()
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    deaths = []
    for _run in range(2):
        opentrain.travel(minutes=15)
        deaths.append(run())
    contract = bad.contract
    print(json.dumps({
        "deaths": deaths,
        "reported": list(good.contract.usage.values_list("status", flat=True)),
        "attempts": contract.collect_attempts,
        "error": contract.collect_error,
        "waits": (contract.next_collect_at or opentrain.now) > opentrain.now,
    }))
"""


@pytest.mark.slow
def test_others_are_reported_and_the_one_waits(tmp_path: Path) -> None:
    program = [sys.executable, "-c", SITE, str(tmp_path / "site.sqlite3"), str(DIED)]
    done = subprocess.run(
        program, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "deaths": [DIED, DIED],
        "reported": ["REPORTED"],
        "attempts": 2,
        "error": "The last attempt didn't finish: its process ended, or it is still running.",
        "waits": True,
    }
