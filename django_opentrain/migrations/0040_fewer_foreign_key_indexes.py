import django.db.models.deletion
from django.db import migrations, models

from django_opentrain.migrations._operations import AlterIndex


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
