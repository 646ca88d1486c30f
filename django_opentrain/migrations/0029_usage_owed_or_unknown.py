from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0028_links_missing_projects"),
    ]

    operations = [
        migrations.AlterField(
            model_name="dailyusage",
            name="owed_labels",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="labels owed"),
        ),
        migrations.AlterField(
            model_name="dailyusage",
            name="owed_seconds",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="seconds owed"),
        ),
        migrations.AlterField(
            model_name="dailyusage",
            name="owed_tasks",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="tasks owed"),
        ),
    ]
