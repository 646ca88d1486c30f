from typing import Any

from django.db import migrations, models
from django.db.models import F


def remember(apps: Any, schema_editor: Any) -> None:
    """The links that OpenTrain has, or had: about when they were created here."""
    links = apps.get_model("django_opentrain", "ProjectLink").objects.using(schema_editor.connection.alias)
    links.exclude(opentrain_id=None).update(linked_at=F("created_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0025_tasks_of_work"),
    ]

    operations = [
        migrations.AddField(
            model_name="projectlink",
            name="linked_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When OpenTrain had it for the first time, before any reconnect",
                null=True,
                verbose_name="linked at",
            ),
        ),
        migrations.RunPython(remember, migrations.RunPython.noop, elidable=True),
    ]
