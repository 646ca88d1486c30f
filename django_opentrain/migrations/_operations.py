"""Operations that Django's own would do at a cost."""

from typing import Any

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
