"""What the repository promises about itself: its documents, its version and its migrations agree with its code."""

from __future__ import annotations

import re
from pathlib import Path

import django_opentrain

ROOT = Path(__file__).resolve().parent.parent


def test_the_changelog_knows_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert headings[0] == django_opentrain.__version__
