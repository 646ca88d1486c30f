from typing import Any

from django.db import migrations, models
from django.db.models import F

import django_opentrain.fields


def name_tasks(apps: Any, schema_editor: Any) -> None:
    """Until now each object was a task."""
    entries = apps.get_model("django_opentrain", "WorkEntry").objects.using(schema_editor.connection.alias)
    entries.update(task_id=F("object_id"))


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0024_usage_owed"),
    ]

    operations = [
        migrations.AddField(
            model_name="workentry",
            name="task_id",
            field=django_opentrain.fields.IdField(
                blank=True,
                default="",
                help_text="The host's id of the task that the object belongs to",
                max_length=200,
                verbose_name="task",
            ),
            preserve_default=False,
        ),
        migrations.RunPython(name_tasks, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            model_name="workentry",
            index=models.Index(fields=["task_id", "opentrain_user_id"], name="opentrain_work_task"),
        ),
    ]
