from typing import Any

from django.db import migrations

NAME = "opentrain_event_purgeable"


def create(apps: Any, schema_editor: Any) -> None:
    """PostgreSQL's alone: others know no conditions, and would write to it at each delivery (or, SQLite, are small)."""
    if schema_editor.connection.vendor == "postgresql":
        table = schema_editor.quote_name(apps.get_model("django_opentrain", "WebhookEvent")._meta.db_table)
        schema_editor.execute(
            f"CREATE INDEX {NAME} ON {table} (received_at, id)"
            " WHERE status IN ('PROCESSED', 'IGNORED') AND body IS NOT NULL"
        )


def drop(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX {NAME}")


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0037_access_asked_at"),
    ]

    operations = [migrations.RunPython(create, drop)]
