from typing import Any

from django.db import migrations, models
from django.db.models import F


def remember(apps: Any, schema_editor: Any) -> None:
    """Until now each reconciliation asserted all whose turn had come."""
    installs = apps.get_model("django_opentrain", "Install").objects.using(schema_editor.connection.alias)
    installs.update(asserted_at=F("reconciled_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0040_fewer_foreign_key_indexes"),
    ]

    operations = [
        migrations.AddField(
            model_name="install",
            name="asserted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.RunPython(remember, migrations.RunPython.noop),
    ]
