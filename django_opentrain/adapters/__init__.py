"""The host's side: what OpenTrain's decisions mean on this site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

from django_opentrain.adapters.base import (
    DayUsage,
    OpenTrainAdapter,
    Project,
    day_bounds,
    day_of,
    get_adapter,
)
from django_opentrain.conf import conf
from django_opentrain.errors import AdapterError

if TYPE_CHECKING:
    from django_opentrain.adapters.users import DjangoUsersAdapter

__all__ = [
    "AdapterError",
    "DayUsage",
    "DjangoUsersAdapter",
    "OpenTrainAdapter",
    "Project",
    "conf",
    "day_bounds",
    "day_of",
    "get_adapter",
]


def __getattr__(name: str) -> Any:
    """``DjangoUsersAdapter`` needs the models: it is loaded when it is asked for, the others at any time."""
    if name == "DjangoUsersAdapter":
        return import_string(f"{__name__}.users.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
