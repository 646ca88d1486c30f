"""The example's own tests, which need its settings: so they run in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = ["--ds", "example_project.settings", "-o", "django_find_project=false"]


@pytest.mark.slow
def test_the_examples_pages(tmp_path: Path) -> None:
    arguments = ["example_project/labelling/test_pages.py", "-q", *SETTINGS]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", [["check", "--fail-level", "ERROR"], ["makemigrations", "--check"]])
def test_its_command_line(tmp_path: Path, command: list[str]) -> None:
    """From any folder: where manage.py is, a celery.py of ours is, too."""
    run = subprocess.run(
        [sys.executable, str(ROOT / "example_project" / "manage.py"), *command],
        cwd=tmp_path,
        env={**os.environ, "DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
def test_with_servers_no_check_of_ours_has_anything_to_say(tmp_path: Path) -> None:
    servers = {
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "PUBLIC_URL": "https://annotate.example.com",
        "OPENTRAIN_BASE_URL": "https://app.opentrain.ai",
        "EMAIL_HOST": "smtp.example.com",
    }
    run = subprocess.run(
        [sys.executable, str(ROOT / "example_project" / "manage.py"), "check", "--deploy"],
        cwd=tmp_path,
        env={**os.environ, "DATA_DIR": str(tmp_path / "data"), **servers},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "opentrain." not in run.stdout + run.stderr
