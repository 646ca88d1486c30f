"""The databases: which of them is ours; and, where they may be queried, what they can't do.

That is by ``migrate``, ``check --database NAME`` and the doctor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage
from django.db import DatabaseError, connections, router

from django_opentrain.checks.messages import configured, error, value_of, warning

#: Those of MySQL and MariaDB that hold every character. What they call utf8 doesn't.
FULL_CHARSETS: Final = ("utf8mb4", "utf16", "utf16le", "utf32")

_LOSSY: Final = """
    SELECT DISTINCT table_name FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name IN %s AND character_set_name NOT IN %s
    UNION SELECT 'all tables' FROM DUAL
    WHERE @@character_set_database NOT IN %s AND NOT EXISTS (
        SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN %s
    )
    UNION SELECT 'its connections' FROM DUAL WHERE @@character_set_client NOT IN %s
"""


def check_routers(**_options: Any) -> list[CheckMessage]:
    """Our tables refer to users, and what is written in a transaction is read in it."""
    if not configured():
        return []
    used = {router.db_for_write(get_user_model())}
    for model in apps.get_app_config("django_opentrain").get_models():
        used |= {router.db_for_read(model), router.db_for_write(model)}
    if len(used) == 1:
        return []
    text = f"DATABASE_ROUTERS use several databases for our tables and the user model: {', '.join(sorted(used))}."
    return [
        error(31, text, "Let them keep both in one database, and read our tables where they are written.")
    ]


def check_databases(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Those that the command names; Django names none to a plain ``check``, and since 6.1 all to ``check --tag``."""
    if not configured():
        return []
    checks = (_time_zones, _charsets)
    return [message for alias in databases or () for check in checks for message in check(alias)]


def _time_zones(alias: str) -> Iterator[CheckMessage]:
    connection = connections[alias]
    if value_of("USAGE_TIME_ZONE") in ("UTC", connection.timezone_name):
        return
    try:
        known = connection.features.has_zoneinfo_database
    except DatabaseError:
        return  # it can't be reached, as whatever runs this says itself
    if not known:
        text = f"The database '{alias}' has no time zone tables: days in USAGE_TIME_ZONE are NULL in its queries."
        hint = (
            "Load them with mysql_tzinfo_to_sql: without them the adapter doesn't know the day of the work."
        )
        yield warning(12, text, hint)


def _charsets(alias: str) -> Iterator[CheckMessage]:
    if connections[alias].vendor != "mysql":
        return
    try:
        lossy = _lossy(alias)
    except DatabaseError:
        return  # as above
    if lossy:
        text = f"The database '{alias}' can't store every character, such as an emoji in a name: {lossy}."
        yield error(30, text, "Let it use utf8mb4. Don't CONVERT tables: ids would lose their collation.")


def _lossy(alias: str) -> str:
    """Which of our tables, all before they exist, and whether connections, can't hold every character."""
    models = apps.get_app_config("django_opentrain").get_models()
    tables = tuple(each._meta.db_table for each in models if router.allow_migrate_model(alias, each))
    if not tables:
        return ""
    with connections[alias].cursor() as cursor:
        cursor.execute(_LOSSY, [tables, FULL_CHARSETS, FULL_CHARSETS, tables, FULL_CHARSETS])
        return ", ".join(name for (name,) in cursor.fetchall())
