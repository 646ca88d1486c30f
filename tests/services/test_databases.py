"""Our tables, and the site's users, in another database than ``default``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ELSEWHERE = "tests.services.elsewhere"
#: What takes locks, and what rolls back.
TESTS = ["tests/services/test_connect.py", "tests/services/test_failures.py", "tests/adapters/test_canary.py"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_site_whose_routers_keep_us_elsewhere() -> None:
    options = ["--ds", ELSEWHERE, "-p", ELSEWHERE, "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly"]
    chosen = ["-k", "token or install or canary or left"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *chosen, *TESTS],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
