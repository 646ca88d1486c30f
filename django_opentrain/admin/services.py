"""The services that the admin calls, each loaded when it is first used.

Django loads the admin whenever it starts, also in processes that never show a page of it; with the services it would
load most of this package, and OpenTrain's client.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django_opentrain.services import (
        access,
        conditions,
        connect,
        endpoints,
        inbox,
        linking,
        reconcile,
        usage,
    )
    from django_opentrain.services.access import bindings, contracts, grants, participants

__all__ = [
    "access",
    "bindings",
    "conditions",
    "connect",
    "contracts",
    "endpoints",
    "grants",
    "inbox",
    "linking",
    "participants",
    "reconcile",
    "usage",
]

_OF_ACCESS: Final = {"bindings", "contracts", "grants", "participants"}


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = "django_opentrain.services"
    return import_module(f"{package}.access.{name}" if name in _OF_ACCESS else f"{package}.{name}")
