from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0036_fewer_event_indexes"),
    ]

    operations = [
        migrations.AddField(
            model_name="install",
            name="access_asked_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
