"""The system checks, from their ids' declarations and from those of the settings that they check."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import import_module
from typing import Final

from django_opentrain.conf import SETTINGS
from tests.reference.markdown import PACKAGE, comments
from tests.reference.settings import of_its_check

_ID: Final = re.compile(r"[EW]\d{3}")


def errors() -> str:
    """An entry for each."""
    return _entries("E")


def warnings() -> str:
    """An entry for each."""
    return _entries("W")


def meanings() -> dict[str, str]:
    """By id."""
    return {**_declared(), **_of_values()}


def _entries(level: str) -> str:
    return "\n\n".join(
        f"### {check}\n\n{text}" for check, text in sorted(meanings().items()) if check.startswith(level)
    )


def _declared() -> dict[str, str]:
    found = {}
    for source in (PACKAGE / "checks").glob("*.py"):
        module, said = import_module(f"django_opentrain.checks.{source.stem}"), comments(source)
        found.update({value: said[name] for name, value in vars(module).items() if _ID.fullmatch(name)})
    return found


def _of_values() -> dict[str, str]:
    """The hint, and what else is to be said; several settings can share a check."""
    found = defaultdict(list)
    for key, each in SETTINGS.items():
        if each.constraint:
            hint = f"`{key}` isn't what it has to be. {each.constraint.expected}"
            found[each.check].append(f"{hint} {of_its_check(key)}".strip())
    return {check: "\n\n".join(texts) for check, texts in found.items()}
