"""The verbs that sites call, too: they are as docs/reference/python.md says."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
CALL = re.compile(r"^\| `(\w+)\.(\w+)\((.*?)\)` \|", re.MULTILINE)


def verbs() -> list[tuple[str, str, str]]:
    return CALL.findall(DOCUMENT.read_text(encoding="utf-8"))


def test_the_document_has_a_table_of_them() -> None:
    assert len(verbs()) == 26


@pytest.mark.parametrize(("module", "verb", "documented"), verbs())
def test_a_verb_takes_what_is_documented(module: str, verb: str, documented: str) -> None:
    function = getattr(importlib.import_module(f"django_opentrain.services.{module}"), verb)
    namespace: dict[str, object] = {}
    exec(f"def documented({documented}): pass", namespace)
    expected = inspect.signature(namespace["documented"])  # type: ignore[arg-type] # a function
    parameters = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in inspect.signature(function).parameters.values()
    ]
    count = len(expected.parameters)
    assert parameters[:count] == list(expected.parameters.values())
    # What comes after them is ours, and may be left out.
    assert all(each.default is not inspect.Parameter.empty for each in parameters[count:])
