"""The adapter: can it be imported, and does it implement what only the host can?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage
from django.utils.module_loading import import_string

from django_opentrain.adapters.base import OpenTrainAdapter
from django_opentrain.checks.messages import CheckId, configured, message, value_of
from django_opentrain.conf import SETTING, SETTINGS

#: What every host has to implement. The other methods have defaults that suit some hosts.
REQUIRED_METHODS: Final = (
    "get_tenant",
    "can_manage",
    "list_projects",
    "get_project",
    "grant_access",
    "revoke_access",
)
PROJECT_METHODS: Final = ("list_projects", "get_project")


#: `ADAPTER` can't be imported. The message says why; most often it is a typo, or a module that fails when it
#: is imported.
E008: Final = CheckId("E008")
#: `ADAPTER` has to be the dotted path of a subclass of `OpenTrainAdapter`, as a string.
E009: Final = CheckId("E009")


def check_adapter(**_options: Any) -> list[CheckMessage]:
    """The class that ``ADAPTER`` names. It is imported, and not instantiated."""
    if not configured():
        return []
    path = value_of("ADAPTER")
    try:
        adapter = import_string(path) if isinstance(path, str) else None
    except Exception as problem:  # noqa: BLE001 - a module that fails when it is imported may raise anything
        text = f"{SETTING}['ADAPTER'] can't be imported: {type(problem).__name__}: {problem}."
        return [message(E008, text, "Use the class's dotted path, and fix the error in its module.")]
    if not (isinstance(adapter, type) and issubclass(adapter, OpenTrainAdapter)):
        text = f"{SETTING}['ADAPTER'] is not the dotted path of a subclass of OpenTrainAdapter."
        return [message(E009, text, "Subclass DjangoUsersAdapter, or OpenTrainAdapter itself.")]
    return _missing_methods(adapter)


#: The adapter lacks methods that only you can write. See [Adapters](docs/how-to/adapter.md); a subclass of
#: `DjangoUsersAdapter` needs two of them.
E010: Final = CheckId("E010")


def _missing_methods(adapter: type[OpenTrainAdapter]) -> list[CheckMessage]:
    missing = _inherited(adapter, OpenTrainAdapter, REQUIRED_METHODS)
    if missing:
        text = f"{adapter.__qualname__} lacks {', '.join(missing)}."
        return [message(E010, text, "Implement these methods: only the host can.")]
    default = import_string(SETTINGS["ADAPTER"].default)
    of_users = [*_projects(adapter, default), *_user_model()] if issubclass(adapter, default) else []
    return [*_middleware(adapter), *of_users]


#: Your adapter observes work by signals, which don't say who acts, and `MIDDLEWARE` lacks what does: no work
#: would be recorded, and none reported. Add `"django_opentrain.middleware.acting_user"`, at any place in the
#: list.
E033: Final = CheckId("E033")


def _middleware(adapter: type[OpenTrainAdapter]) -> Iterator[CheckMessage]:
    needed = adapter.observer_middleware
    if needed and needed not in settings.MIDDLEWARE:
        text = f"{adapter.__qualname__} observes work, and MIDDLEWARE lacks {needed}: no work is recorded."
        yield message(E033, text, "Add it to MIDDLEWARE, anywhere.")


#: The adapter is the default one, or a subclass that lists no projects: no project can be linked. Implement
#: `list_projects` and `get_project`.
W003: Final = CheckId("W003")


def _projects(adapter: type[OpenTrainAdapter], default: type) -> Iterator[CheckMessage]:
    if silent := _inherited(adapter, default, PROJECT_METHODS):
        text = f"{adapter.__qualname__} lists no projects, so none can be linked."
        yield message(W003, text, f"Subclass it and implement {' and '.join(silent)}.")


#: The site's user model has no `is_active` column, so that the account of a trainer who was removed can't be
#: deactivated. Their projects are closed, and their password ends and with it their sessions. API tokens
#: still work: add the column, or revoke them in `close_project()`.
W013: Final = CheckId("W013")


def _user_model() -> Iterator[CheckMessage]:
    """Accounts can be deactivated only where there is a column for it."""
    if all(field.name != "is_active" for field in get_user_model()._meta.concrete_fields):
        text = "The user model has no is_active column, so accounts of trainers can't be deactivated."
        hint = "Add one, or revoke API tokens in close_project(): projects are closed and passwords ended without it."
        yield message(W013, text, hint)


def _inherited(adapter: type, base: type, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(adapter, name) is getattr(base, name)]
