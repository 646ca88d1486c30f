"""The modules from which hosts import, and what."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from tests.reference.markdown import table

DOORS: Final = [
    "django_opentrain.adapters",
    "django_opentrain.errors",
    "django_opentrain.models",
    "django_opentrain.schedule",
    "django_opentrain.services",
    "django_opentrain.signals",
    "django_opentrain.testing",
]


def modules() -> str:
    """A row for each."""
    rows = [(f"`{door}`", ", ".join(f"`{name}`" for name in _names(door))) for door in DOORS]
    return table("Module", "Has", rows=rows)


def _names(door: str) -> list[str]:
    return sorted(import_module(door).__all__, key=str.lower)
