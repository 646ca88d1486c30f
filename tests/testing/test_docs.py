"""The examples in the documents, run in a site that ``startproject`` made and docs/how-to/install.md completed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from django_opentrain.testing.kit import OpenTrain

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: For a machine that is busy with other tests.
TIMEOUT_SECONDS = 280
PLUGIN = "django_opentrain.testing.plugin"


def examples(document: str) -> list[tuple[str, str]]:
    """The path and text of each Python block that begins with its path."""
    return BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))


def run(*command: str, cwd: Path, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A new site, with the steps of ``install.md`` and the examples of ``test-your-site.md``."""
    run("-m", "django", "startproject", "mysite", str(tmp_path), cwd=tmp_path)
    for name, text in [*examples("docs/how-to/install.md"), *examples("docs/how-to/test-your-site.md")]:
        if name.startswith("mysite/"):
            with (tmp_path / name).open("a", encoding="utf-8") as file:
                file.write(text)
    return tmp_path


def test_the_first_example_is_short() -> None:
    name, text = examples("docs/how-to/test-your-site.md")[0]
    assert name == "mysite/test_access.py"
    assert len(text.splitlines()) <= 10


def test_every_verb_of_the_kit_is_documented() -> None:
    section = (
        (ROOT / "docs/how-to/test-your-site.md").read_text(encoding="utf-8").partition("## The verbs")[2]
    )
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    documented = {verb for row in rows for verb in re.findall(r"`(\w+)", row)}
    assert {name for name in vars(OpenTrain) if not name.startswith("_")} == documented - {"tasks", "labels"}


def test_the_conformance_example_is_the_example_projects() -> None:
    name = "example_project/labelling/test_adapter.py"
    assert dict(examples("docs/how-to/test-your-site.md"))[name] == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
def test_a_new_site_tests_its_adapter_with_pytest(site: Path) -> None:
    output = run(
        *("-W", "error", "-m", "pytest", "-p", PLUGIN, "--ds", "mysite.settings", "mysite/test_access.py"),
        cwd=site,
    )
    assert "1 passed" in output


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
def test_a_new_site_tests_its_adapter_with_unittest(site: Path) -> None:
    key = Fernet.generate_key().decode()
    output = run("manage.py", "test", cwd=site, OPENTRAIN_ENCRYPTION_KEYS=key)
    assert "Ran 1 test" in output


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
def test_the_example_projects_adapter_conforms(tmp_path: Path) -> None:
    """Every check, none skipped."""
    output = run(
        *("-m", "pytest", "example_project/labelling/test_adapter.py", "-p", PLUGIN, "-q"),
        *("--ds", "example_project.settings", "-o", "django_find_project=false"),
        cwd=ROOT,
        DATA_DIR=str(tmp_path),
    )
    assert re.search(r"^\d+ passed in", output, re.MULTILINE), output


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
def test_the_plugin_costs_nothing_without_django(tmp_path: Path) -> None:
    """It is loaded in every project that has the package installed, also where there are no settings."""
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n"
        "def test_nothing():\n"
        "    assert 'django_opentrain.testing.kit' not in sys.modules\n"
        "    assert 'django.db' not in sys.modules\n"
    )
    output = run(
        *("-W", "error", "-m", "pytest", "-p", PLUGIN, "-p", "no:django", "-p", "no:cacheprovider"),
        cwd=tmp_path,
    )
    assert "1 passed" in output
