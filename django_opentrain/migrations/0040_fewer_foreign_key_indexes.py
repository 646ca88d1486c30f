from typing import Any

import django.db.models.deletion
from django.db import migrations, models


class AlterIndex(migrations.AlterField):
    """Only the index: ``AlterField`` makes the foreign key anew, too.

    To do so PostgreSQL checks each row, and locks the table against writes; MySQL and MariaDB copy it.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        # MySQL and MariaDB have none: there the foreign key uses the unique constraint's.
        if connection.vendor == "mysql" or not self.allow_migrate_model(connection.alias, model):
            return
        field = model._meta.get_field(self.name)
        index = models.Index(fields=[self.name])
        if field.db_index:
            index.set_name_with_model(model)
            schema_editor.add_index(model, index)
            return
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name, each in found.items():
            if each["index"] and not each["unique"] and each["columns"] == [field.column]:
                index.name = name
                schema_editor.remove_index(model, index)


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0039_in_sync_since"),
    ]

    operations = [
        AlterIndex(
            model_name="accessgrant",
            name="contract",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to="django_opentrain.contract",
                verbose_name="contract",
            ),
        ),
        AlterIndex(
            model_name="contract",
            name="install",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="contracts",
                to="django_opentrain.install",
                verbose_name="connection",
            ),
        ),
        AlterIndex(
            model_name="dailyusage",
            name="contract",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="usage",
                to="django_opentrain.contract",
                verbose_name="contract",
            ),
        ),
        AlterIndex(
            model_name="participant",
            name="install",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="participants",
                to="django_opentrain.install",
                verbose_name="connection",
            ),
        ),
        AlterIndex(
            model_name="projectlink",
            name="install",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="project_links",
                to="django_opentrain.install",
                verbose_name="connection",
            ),
        ),
        AlterIndex(
            model_name="usageobjection",
            name="contract",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="objections",
                to="django_opentrain.contract",
                verbose_name="contract",
            ),
        ),
    ]
