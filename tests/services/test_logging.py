"""The log: what an operator can filter by, and how quiet it is where nothing happens."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import django_opentrain
from django_opentrain.adapters import AdapterError
from django_opentrain.models import AccessGrant, Install, WebhookEvent
from django_opentrain.services import inbox, reconcile
from django_opentrain.services.access import attempts
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.health import CLOCK_SET_BACK
from django_opentrain.services.inbox import handlers
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import host

PACKAGE = Path(django_opentrain.__file__).parent
LOGS = (PACKAGE.parent / "docs" / "how-to" / "logging.md").read_text(encoding="utf-8")
LEVELS = {"log", "info", "warning", "error"}
#: Lines about no install: the broker, this machine's clock.
OF_THE_SITE = {"services/workers/wakeup.py", "services/clock.py", "services/usage/changes.py"}
#: Lines about an account, which may be several customers'.
OF_AN_ACCOUNT = {"services/access/invitations.py"}

#: A worker with the documented settings runs tasks; the broker and the worker are in this process.
WORKER = """
import logging
from unittest import mock
{settings}
import django
from django.conf import settings
from cryptography.fernet import Fernet
settings.configure(
    LOGGING=LOGGING,
    SECRET_KEY="x",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_opentrain"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    USE_TZ=True,
)
django.setup()
from celery import Celery
app = Celery("mysite", broker="memory://", backend="cache+memory://")
app.set_default()
{celery}
from celery.contrib.testing.worker import start_worker
from django_opentrain import tasks

@app.task(name="mysite.other")
def other():
    logging.getLogger("mysite").info("Something of the site's")

with mock.patch.object(tasks, "process_due"), start_worker(app, perform_ping_check=False, loglevel="INFO") as worker:
    tasks.drain.delay()
    tasks.converge_access.delay(1)  # fails: there is no table
    worker.ensure_started()
    other.delay()
    import time
    time.sleep(3)
"""


def blocks(name: str) -> str:
    """The Python blocks of the page about logs that begin with this path."""
    found = re.findall(rf"^```python\n# {re.escape(name)}\n(.*?)^```$", LOGS, re.MULTILINE | re.DOTALL)
    assert found
    return "\n".join(found)


def test_with_the_documented_settings_an_empty_drain_says_nothing() -> None:
    script = WORKER.format(settings=blocks("mysite/settings.py"), celery=blocks("mysite/celery.py"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert [line for line in lines if "django_opentrain.drain" in line] == []
    assert [line for line in lines if "mysite.other" in line and "succeeded" in line], done.stderr
    [failed] = [line for line in lines if "django_opentrain.converge_access" in line]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ERROR celery.app.trace: ", failed)


# What there is to filter by -------------------------------------------------------------------


def calls() -> Iterator[tuple[str, ast.Call]]:
    for file in sorted(PACKAGE.joinpath("services").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "logger"
                and node.func.attr in LEVELS
            ):
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}", node


def test_each_line_of_a_service_says_whose_it_is() -> None:
    found = list(calls())
    assert len(found) > 15
    without = {
        where.partition(":")[0]
        for where, call in found
        if "extra" not in {each.arg for each in call.keywords}
    }
    assert without == OF_THE_SITE | OF_AN_ACCOUNT


def test_a_line_that_ends_with_a_name_in_brackets_names_a_runbook() -> None:
    texts = [file.read_text(encoding="utf-8") for file in PACKAGE.joinpath("services").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r' \[([a-z-]+)\]"', text)}
    assert len(named) > 5
    assert named | set(attempts.RUNBOOKS.values()) <= {*CONDITIONS, CLOCK_SET_BACK}
    assert set(attempts.RUNBOOKS) == set(AccessGrant.Desired.values)


@pytest.mark.django_db
class TestFields:
    @pytest.fixture
    def install(self, linked: OpenTrain) -> Install:
        return Install.objects.get()

    def test_an_event_that_fails(
        self, opentrain: OpenTrain, install: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        opentrain.hire()
        opentrain.deliver()
        with mock.patch.object(handlers, "apply", side_effect=KeyError("id")):
            inbox.process(WebhookEvent.objects.latest("pk"))
        [record] = caplog.records
        assert (record.__dict__["install"], record.__dict__["event_type"]) == (
            install.opentrain_id,
            "contract.started",
        )

    def test_access_that_fails(
        self, opentrain: OpenTrain, install: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        host.failing["grant_access"] = AdapterError("no seats left")
        hire = opentrain.hire()
        opentrain.run()
        [record] = caplog.records
        assert (record.__dict__["install"], record.__dict__["contract"]) == (install.opentrain_id, hire.id)

    def test_a_reconciliation_that_fails(
        self, opentrain: OpenTrain, install: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        opentrain.fail_next(status=500, match="GET /project-links")
        reconcile.request_all()
        reconcile.run_due()
        assert [each.__dict__["install"] for each in caplog.records] == [install.opentrain_id]
