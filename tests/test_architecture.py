"""Imports point one way: docs/architecture.md says which, and so does this table."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "django_opentrain"

#: What each part may import of the package, besides itself. Modules at the top level are parts of their own.
BASICS = {
    "platform",
    "conf",
    "constraints",
    "crypto",
    "errors",
    "explanations",
    "fields",
    "clients",
    "lazy_messages",
    "relative_time",
    "signals",
    "view_decorators",
}
BELOW_SERVICES = BASICS | {"models", "adapters"}
EDGE = BELOW_SERVICES | {"services"}
ALLOWED = {
    "platform": set(),
    "errors": {"platform"},
    "explanations": {"platform", "errors"},
    "sandbox": {"platform"},
    "models": BASICS,
    "adapters": BASICS | {"models"},
    "services": BELOW_SERVICES,
    "web": EDGE,
    "api": EDGE,
    "templatetags": EDGE | {"web"},
    "admin": EDGE,
    "checks": EDGE | {"schedule"},
    "management": EDGE | {"sandbox"},
    "tasks": EDGE,
}
#: The standard library and these are all that OpenTrain's own words and the sandbox need.
WITHOUT_DJANGO = {
    "platform": {"requests", "urllib3"},
    "sandbox": {"requests", "urllib3"},
}


def modules_of(part: str) -> list[Path]:
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]


def imports_of(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part: str) -> None:
    allowed = ALLOWED[part] | {part, "__version__"}
    wrong = [
        f"{module.relative_to(PACKAGE)} imports {name}"
        for module in modules_of(part)
        for name in imports_of(module)
        if name.startswith("django_opentrain.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("part", WITHOUT_DJANGO)
def test_what_knows_no_django_stays_so(part: str) -> None:
    known = WITHOUT_DJANGO[part] | set(sys.stdlib_module_names) | {"django_opentrain"}
    wrong = [
        f"{module.relative_to(PACKAGE)} imports {name}"
        for module in modules_of(part)
        for name in imports_of(module)
        if name.split(".")[0] not in known
    ]
    assert wrong == []
