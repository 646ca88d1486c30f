"""The API's tests pass on hosts whose REST framework defaults would break or open it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Who may call, what comes in, what goes out: all that defaults could change.
TESTS = ["test_access.py", "test_input.py", "test_lists.py", "test_links.py", "test_contracts.py"]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("host", ["label-studio", "doccano", "cvat", "open"])
def test_a_hosts_defaults_change_nothing(host: str) -> None:
    paths = [f"tests/api/{name}" for name in TESTS]
    options = [
        "--ds",
        "tests.api.hostile_settings",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *paths],
        cwd=ROOT,
        env={**os.environ, "HOST": host},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
