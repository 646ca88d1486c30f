from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0032_kinds_of_permissions"),
    ]

    operations = [
        migrations.CreateModel(
            name="Counter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "metric",
                    models.CharField(
                        choices=[("events", "events"), ("api_requests", "API requests")],
                        max_length=20,
                        verbose_name="metric",
                    ),
                ),
                (
                    "label",
                    models.CharField(
                        help_text="An event's type, or a response's status",
                        max_length=50,
                        verbose_name="label",
                    ),
                ),
                (
                    "detail",
                    models.CharField(
                        help_text="An event's outcome, or the seconds that a response took at most",
                        max_length=20,
                        verbose_name="detail",
                    ),
                ),
                ("count", models.PositiveBigIntegerField(default=0, verbose_name="count")),
                (
                    "seconds",
                    models.FloatField(
                        default=0, help_text="How long all of them took together", verbose_name="seconds"
                    ),
                ),
            ],
            options={
                "verbose_name": "counter",
                "verbose_name_plural": "counters",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("metric", "label", "detail"), name="opentrain_counter_once"
                    )
                ],
            },
        ),
    ]
