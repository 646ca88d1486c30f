from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0038_purgeable_events_index"),
    ]

    operations = [
        migrations.AddField(
            model_name="install",
            name="in_sync_since",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
