"""A site whose routers keep our tables, and its users, outside of ``default``: settings, and a pytest plugin."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings import *  # noqa: F403 - settings
from tests.settings import DATABASES as USUAL

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "people": USUAL["default"],
}
DATABASE_ROUTERS = ["tests.services.elsewhere.Router"]


class Router:
    """Sessions stay in ``default``, and nothing else."""

    def db_for_read(self, model: Any, **_hints: Any) -> str:
        return "default" if model._meta.app_label == "sessions" else "people"

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool:
        return (db == "default") == (app_label == "sessions")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Open both databases to each test, with no transaction around it: PostgreSQL locks rows only in one."""
    for item in items:
        item.add_marker(pytest.mark.django_db(transaction=True, databases=list(DATABASES)), append=False)
