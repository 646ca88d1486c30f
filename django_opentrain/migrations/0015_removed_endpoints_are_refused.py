"""A removed endpoint was refused three hours after its row was last changed: now a column says when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import migrations
from django.db.models import F


def say_when(apps: Any, schema_editor: Any) -> None:
    endpoints = apps.get_model("django_opentrain", "WebhookEndpoint").objects
    removed = endpoints.using(schema_editor.connection.alias).filter(status="REMOVED", retire_at=None)
    removed.update(retire_at=F("updated_at") + timedelta(hours=3))


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0014_compromised_secrets"),
    ]

    operations = [
        migrations.RunPython(say_when, migrations.RunPython.noop),
    ]
