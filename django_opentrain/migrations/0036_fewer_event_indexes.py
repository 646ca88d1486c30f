import django.db.models.deletion
from django.db import migrations, models

import django_opentrain.fields
from django_opentrain.migrations._operations import AlterIndex


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0035_endpoint_traffic_index"),
    ]

    operations = [
        AlterIndex(
            model_name="webhookevent",
            name="endpoint",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="events",
                to="django_opentrain.webhookendpoint",
                verbose_name="endpoint",
            ),
        ),
        migrations.AlterField(
            model_name="webhookevent",
            name="event_id",
            field=django_opentrain.fields.IdField(blank=True, max_length=200, verbose_name="event id"),
        ),
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["event_id"], name="opentrain_event_id"),
        ),
    ]
