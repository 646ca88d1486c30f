"""What hosts import, with its parameters: ``public_api.txt``. To renew it:

DJANGO_SETTINGS_MODULE=tests.settings python -m django shell -c "from tests.public_api import renew; renew()"
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import EnumMeta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tests.reference.code import documented_services, signature
from tests.reference.doors import DOORS

#: For those who mount a part by hand, and for their own pages.
MOUNTS: Final = {
    "django_opentrain.admin": {"register"},
    "django_opentrain.api.urls": {"CanManageTenant", "api_urls"},
    "django_opentrain.web.context": {"ProjectBudget", "project_budget"},
}

FILE: Final = Path(__file__).with_suffix(".txt")
PACKAGE: Final = "django_opentrain"


def public_api() -> str:
    """A line for each name, in the order of the alphabet."""
    return "".join(f"{line}\n" for line in sorted({*_of_doors(), *_of_services()}))


def renew() -> None:
    """Write it."""
    FILE.write_text(public_api(), encoding="utf-8")


def _of_doors() -> Iterator[str]:
    for door in (*DOORS, *MOUNTS):
        module = import_module(door)
        for name in MOUNTS.get(door) or module.__all__:
            yield from _described(f"{door}.{name}", getattr(__import__(door, fromlist=[name]), name))


def _of_services() -> Iterator[str]:
    for module, name in documented_services():
        yield from _described(f"{module.__name__}.{name}", getattr(module, name))


def _described(path: str, value: Any) -> Iterator[str]:
    """The name with its parameters; a class has its methods and class attributes below it."""
    if isinstance(value, ModuleType):
        yield f"{path}: module"
    elif inspect.isclass(value):
        yield f"{path}: class({', '.join(base.__name__ for base in value.__bases__)})"
        if is_dataclass(value):
            yield f"{path}{signature(value)}"
        for name, attribute in _members(value).items():
            yield from _member(f"{path}.{name}", attribute)
    elif inspect.isroutine(value):
        yield f"{path}{signature(value)}"
    else:
        yield f"{path}: {type(value).__name__}"


def _members(of: type) -> dict[str, Any]:
    """What hosts call and override: without what is listed at a base, and without tests.

    Models' fields are in docs/reference/code.md.
    """
    listed = {
        value for name in DOORS for value in vars(import_module(name)).values() if inspect.isclass(value)
    }
    own = [each for each in of.__mro__ if each is of or each not in listed]
    found: dict[str, Any] = {}
    for each in reversed([each for each in own if each.__module__.startswith(f"{PACKAGE}.")]):
        found |= vars(each)
    return {name: value for name, value in found.items() if not name.startswith(("_", "test_"))}


def _member(path: str, attribute: Any) -> Iterator[str]:
    plain = getattr(attribute, "__func__", attribute)
    if inspect.isfunction(plain) and plain.__module__.startswith(f"{PACKAGE}."):
        yield f"{path}{signature(plain)}"
    elif isinstance(attribute, (bool, int, str, tuple)):
        yield f"{path} = {attribute!r}"
    elif isinstance(attribute, EnumMeta):
        yield f"{path}: {', '.join(attribute.__members__)}"
    elif isinstance(attribute, property):
        yield f"{path}: property"
