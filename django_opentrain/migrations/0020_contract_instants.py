from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_opentrain", "0019_hours_tracked_elsewhere")]

    operations = [
        migrations.AddField(
            model_name="contract",
            name="end_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="end"),
        ),
        migrations.AddField(
            model_name="contract",
            name="start_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="start"),
        ),
    ]
