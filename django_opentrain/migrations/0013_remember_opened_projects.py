from typing import Any

from django.db import migrations
from django.db.models import OuterRef, Subquery


def remember(apps: Any, schema_editor: Any) -> None:
    grant = apps.get_model("django_opentrain", "AccessGrant")
    link = apps.get_model("django_opentrain", "ProjectLink")
    project = link.objects.using(schema_editor.connection.alias).filter(pk=OuterRef("link"))
    grants = grant.objects.using(schema_editor.connection.alias).filter(opened_project_id="")
    grants.exclude(granted_at=None, host_user_ref="").update(
        opened_project_id=Subquery(project.values("external_project_id")[:1])
    )


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0012_opened_projects"),
    ]

    operations = [
        migrations.RunPython(remember, migrations.RunPython.noop),
    ]
