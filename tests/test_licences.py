"""What the package brings along may be used beside it, and docs/reference/releases.md lists it."""

from __future__ import annotations

import re
from pathlib import Path

import django
import pytest

from tests.licences import dependencies, is_compatible

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "releases.md"
ROW = re.compile(r"^\| ([a-z0-9-]+) \| ([^|]+) \|$", re.MULTILINE)


def test_all_that_is_installed_along_has_a_compatible_licence() -> None:
    found = dependencies()
    assert {"django", "celery", "kombu", "cryptography", "requests", "urllib3"} <= set(found)
    assert {name: licence for name, licence in found.items() if not is_compatible(licence)} == {}


@pytest.mark.parametrize(
    ("licence", "compatible"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR BSD-3-Clause", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("", False),
    ],
)
def test_a_choice_is_enough_and_a_part_is_not(licence: str, compatible: bool) -> None:
    assert is_compatible(licence) is compatible


def test_the_page_lists_what_is_installed_along() -> None:
    listed = dict(ROW.findall(PAGE.read_text(encoding="utf-8")))
    found = dependencies()
    assert set(found) <= set(listed), "\n".join(f"| {name} | {licence} |" for name, licence in found.items())
    if django.VERSION >= (6, 0):
        # Earlier versions of some were licensed otherwise, or said it in other words.
        assert found.items() <= listed.items()
