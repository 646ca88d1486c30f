"""The front door: from which modules a host imports what, as docs/reference/python.md promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from difflib import unified_diff
from importlib import import_module
from pathlib import Path

import pytest

from tests.public_api import FILE, MOUNTS, public_api
from tests.reference.doors import DOORS

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "example_project" / "labelling").glob("*.py"),
]


def test_they_are_few() -> None:
    assert len(DOORS) <= 7


@pytest.mark.parametrize("door", [*DOORS, *MOUNTS])
def test_a_door_leads_to_what_it_names(door: str) -> None:
    for name in MOUNTS.get(door) or import_module(door).__all__:
        # As an import statement does it: a submodule needn't have been loaded before.
        assert getattr(__import__(door, fromlist=[name]), name) is not None
    with pytest.raises(ImportError):
        exec(f"from {door} import no_such_thing")


def test_what_hosts_import_takes_what_was_promised() -> None:
    promised = FILE.read_text(encoding="utf-8").splitlines()
    changes = unified_diff(promised, public_api().splitlines(), "promised", "is", lineterm="", n=0)
    assert list(changes) == [], (
        "What goes or changes is deprecated first; tests/public_api.py says how to renew it."
    )


def imports_in(file: Path) -> Iterator[tuple[str, str]]:
    text = file.read_text(encoding="utf-8")
    for source in [text] if file.suffix == ".py" else BLOCK.findall(text):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from ((node.module, each.name) for each in node.names)
            elif isinstance(node, ast.Import):
                yield from ((each.name, "") for each in node.names)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(ROOT)))
def test_examples_go_through_the_doors(file: Path) -> None:
    for module, name in imports_in(file):
        if module.partition(".")[0] != "django_opentrain":
            continue
        assert module in DOORS or module in MOUNTS, f"from {module} import {name}"
        if name and module in DOORS:
            assert name in import_module(module).__all__, f"from {module} import {name}"


def test_settings_and_plugins_can_import_before_django_is_set_up() -> None:
    early = ["adapters", "errors", "schedule", "signals", "testing"]
    script = "\n".join(f"from django_opentrain.{name} import __all__" for name in early)
    script += "\nfrom django_opentrain.adapters import OpenTrainAdapter, Project, conf"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
