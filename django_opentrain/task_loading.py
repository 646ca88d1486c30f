"""Loads our tasks where Celery looks for tasks: in workers, in beat, in its shell.

Some hosts autodiscover modules of another name only. Loaded when Django starts, if the site has loaded Celery then;
other processes load the tasks where they use one.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from celery.signals import beat_init, import_modules, worker_init


# The latter two where it is ``import_modules`` that sets Django up: what connects while it is sent isn't called.
@import_modules.connect
@worker_init.connect
@beat_init.connect
def load_tasks(**_details: Any) -> None:
    """Load them; they register themselves."""
    import_module("django_opentrain.tasks")
