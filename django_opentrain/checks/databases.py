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

from django_opentrain.checks.messages import CheckId, configured, message, value_of

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


#: `DATABASE_ROUTERS` spread what has to be in one database, `default` or another: our tables, which refer to
#: users, and the user model. Our tables also have to be read where they are written, not from a replica,
#: where what a transaction has just written isn't there yet. In a router for replicas, except the app: `if
#: model._meta.app_label == "django_opentrain": return "primary"`. Everything else of yours may be anywhere.
E031: Final = CheckId("E031")


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
        message(E031, text, "Let them keep both in one database, and read our tables where they are written.")
    ]


def check_databases(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Those that the command names; Django names none to a plain ``check``, and since 6.1 all to ``check --tag``."""
    if not configured():
        return []
    checks = (_time_zones, _charsets)
    return [each for alias in databases or () for check in checks for each in check(alias)]


#: The database is a MySQL or MariaDB without time zone tables, and `USAGE_TIME_ZONE` is not UTC: it answers
#: NULL when it is asked on which day a time is (`TruncDate(…, tzinfo=…)`), so an adapter that asks it can't
#: report any work. [`day_of`](docs/how-to/adapter.md#usage), which the shipped ones use, needs no tables: if
#: yours does too, silence this check. Else load them: `mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql
#: mysql`, and restart the workers. Work that has no day is never dropped silently: the contract's
#: `collect_error` says so, on its page, in the admin and in the doctor. This check queries the database, so
#: it runs with `migrate`, `check --database default`, `opentrain_doctor`, and from Django 6.1 on `check --tag
#: opentrain` only.
W012: Final = CheckId("W012")


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
        yield message(W012, text, hint)


#: Columns of this package's tables, or the whole database before they are created, can't hold every
#: character: in MySQL and MariaDB `utf8mb3` (`utf8`) and `latin1` refuse an emoji, so a trainer whose name
#: has one never gets access, and their customer's reconciliation never ends. For a new database: `ALTER
#: DATABASE … CHARACTER SET utf8mb4`. Tables that exist are converted column by column: `CONVERT TO CHARACTER
#: SET` would also change the collation of the ids, which must differ in upper and lower case. This query
#: writes the statements:
#:
#: ```sql
#: SELECT CONCAT('ALTER TABLE ', table_name, ' CHARACTER SET utf8mb4, MODIFY ', column_name, ' ', column_type,
#:               ' CHARACTER SET utf8mb4', IF(is_nullable = 'YES', ';', ' NOT NULL;'))
#: FROM information_schema.columns
#: WHERE table_schema = DATABASE() AND table_name LIKE 'django\_opentrain\_%' AND character_set_name <> 'utf8mb4';
#: ```
#:
#: Connections have to use it, too: `"OPTIONS": {"charset": "utf8mb4"}` in `DATABASES`, which is the default
#: from Django 5.2 on. Like W012, this check runs with `migrate`, `check --database default` and
#: `opentrain_doctor`.
E030: Final = CheckId("E030")


def _charsets(alias: str) -> Iterator[CheckMessage]:
    if connections[alias].vendor != "mysql":
        return
    try:
        lossy = _lossy(alias)
    except DatabaseError:
        return  # as above
    if lossy:
        text = f"The database '{alias}' can't store every character, such as an emoji in a name: {lossy}."
        yield message(E030, text, "Let it use utf8mb4. Don't CONVERT tables: ids would lose their collation.")


def _lossy(alias: str) -> str:
    """Which of our tables, all before they exist, and whether connections, can't hold every character."""
    models = apps.get_app_config("django_opentrain").get_models()
    tables = tuple(each._meta.db_table for each in models if router.allow_migrate_model(alias, each))
    if not tables:
        return ""
    with connections[alias].cursor() as cursor:
        cursor.execute(_LOSSY, [tables, FULL_CHARSETS, FULL_CHARSETS, tables, FULL_CHARSETS])
        return ", ".join(name for (name,) in cursor.fetchall())
