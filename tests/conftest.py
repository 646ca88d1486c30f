"""What all tests share: a missing service skips a test here, and fails it in CI."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import socket
from typing import NoReturn
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine's other work, not about the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

#: The fixture `opentrain`, where the package is not installed. Its entry point has the same name: it is loaded once.
pytest_plugins = ["django_opentrain.testing.plugin"]

#: The port on 127.0.0.1 of each service that a test can be marked with.
PORTS = {"postgresql": 5432, "mariadb": 3306, "redis": 6379, "rabbitmq": 5672}
#: Objects after which the collector looks for garbage: many times Python's own figure, which suits small programs.
GARBAGE = 50_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@functools.cache
def listens(port: int) -> bool:
    """Whether something accepts connections on ``port`` of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def leave_out(reason: str) -> NoReturn:
    """Skip the running test; in CI, where everything has to be there, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``TEST_HALF`` 0 or 1 leave out the other half of the files: CI has each database run one, in turn."""
    if half := os.environ.get("TEST_HALF"):
        left_out = {item for item in items if crc32(item.location[0].encode()) % 2 != int(half)}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what all tests share, and look less often at what one leaves.

    Modules, models and thousands of collected tests stay until the end: each full collection would visit them all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 50)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a marked test whose service isn't there."""
    for service, port in PORTS.items():
        if item.get_closest_marker(service) and not listens(port):
            leave_out(f"{service} doesn't listen on 127.0.0.1:{port}")
    if item.get_closest_marker("browser") and not any(map(shutil.which, BROWSERS)):
        leave_out("no Chromium on PATH")
