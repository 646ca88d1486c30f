"""What a site loads when it starts: nothing that only requests or tasks need (``benchmarks/startup.py``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUP = "import django; django.setup(); "
LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"
#: Neither these nor anything in them.
UNUSED = {
    "cryptography",
    "requests",
    "urllib3",
    "rest_framework.views",
    "django_opentrain.api",
    "django_opentrain.ciphers",
    "django_opentrain.observers",
    "django_opentrain.permissions",
    "django_opentrain.platform.client",
    "django_opentrain.platform.resources",
    "django_opentrain.platform.spec",
    "django_opentrain.sandbox",
    "django_opentrain.schedule",
    "django_opentrain.tasks",
    "django_opentrain.testing",
    "django_opentrain.web.forms",
    "django_opentrain.web.urls",
    "django_opentrain.web.views",
}
#: What the admin and the settings' checks use of the services at the level of their modules.
USED_SERVICES = {
    "django_opentrain.services",
    "django_opentrain.services.endpoint_traffic",
    "django_opentrain.services.workers",
    "django_opentrain.services.workers.heartbeat",
    "django_opentrain.services.workers.locks",
    "django_opentrain.services.workers.retries",
    "django_opentrain.services.workers.wakeup",
}
#: Starts a worker as its command does, up to where it would connect to its broker.
WORKER = "from celery.apps.worker import Worker; Worker(app=app, pool='solo', broker='memory://'); "
BEAT = (
    "from celery.apps.beat import Beat; from celery.signals import beat_init;"
    " Beat(app=app).init_loader(); beat_init.send(sender=None); "
)
REGISTERED = "import json; print(json.dumps(sorted(app.tasks)))"


def run(program: str, apps: str, **environment: str) -> list[str]:
    """The list that a site with these apps prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.bare_site.settings",
            "SITE_APPS": apps,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout)
    return names


def inside(names: list[str], packages: set[str]) -> list[str]:
    return [name for name in names if any(f"{name}.".startswith(f"{package}.") for package in packages)]


def test_with_celery_and_the_rest_framework_nothing_is_loaded_that_is_not_needed() -> None:
    program = f"import benchmarks.bare_site.celery; {SETUP}{LOADED}"
    loaded = run(program, "rest_framework django_opentrain")
    assert {"celery", "rest_framework", "django_opentrain.models", "django_opentrain.admin"} <= {*loaded}
    assert inside(loaded, UNUSED) == []
    assert {*inside(loaded, {"django_opentrain.services"})} == USED_SERVICES


def test_without_them_they_stay_away() -> None:
    loaded = run(f"{SETUP}{LOADED}", "django_opentrain")
    assert "django_opentrain.admin" in loaded
    assert inside(loaded, {"celery", "kombu", "billiard", "rest_framework", *UNUSED}) == []


def test_checks_admin_and_models_are_there_at_once() -> None:
    program = (
        f"{SETUP}import json; from django.apps import apps; from django.contrib import admin;"
        " from django.core.checks.registry import registry;"
        " ours = {*apps.get_app_config('django_opentrain').get_models()};"
        " print(json.dumps([*{each.__name__ for each in ours - {*admin.site._registry}},"
        " *{each.__module__ for each in registry.get_checks()}]))"
    )
    found = run(program, "django_opentrain")
    assert "django_opentrain.checks.values" in found
    assert [name for name in found if "." not in name] == [], "models that the admin doesn't have"


@pytest.mark.parametrize("before", ["", SETUP], ids=["set up by Celery", "set up before"])
@pytest.mark.parametrize("process", [WORKER, BEAT], ids=["worker", "beat"])
def test_celery_has_our_tasks_where_a_site_names_its_modules_otherwise(process: str, before: str) -> None:
    """Django is set up by Celery while it imports the tasks, or by the site before."""
    program = f"from benchmarks.bare_site.celery import app; {before}{process}{REGISTERED}"
    assert "django_opentrain.sweep" in run(program, "django_opentrain", SITE_TASKS="jobs")


def test_no_task_is_stopped_where_celery_is_not_loaded() -> None:
    ask = "print(json.dumps([each.__name__ for each in soft_time_limit()]))"
    program = f"{SETUP}import json; from django_opentrain.time_limits import soft_time_limit; "
    assert run(f"{program}{ask}", "django_opentrain") == []
    assert run(f"{program}import celery.exceptions; {ask}", "django_opentrain") == ["SoftTimeLimitExceeded"]
