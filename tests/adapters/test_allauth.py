"""The default adapter on a site with django-allauth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_with_django_allauth() -> None:
    """Which apps there are can't change within a process: the checks are in ``allauthusers``."""
    pytest.importorskip("allauth", reason="django-allauth is not installed")
    pytest.importorskip("knox", reason="django-rest-knox is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "--ds", "tests.adapters.allauthusers.settings"]
    done = subprocess.run(
        [*command, "tests/adapters/allauthusers/checks.py"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TEST_DATABASE": "sqlite"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
