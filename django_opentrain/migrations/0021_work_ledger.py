import datetime

from django.db import migrations, models

import django_opentrain.fields


class Migration(migrations.Migration):
    dependencies = [("django_opentrain", "0020_contract_instants")]

    operations = [
        migrations.CreateModel(
            name="WorkEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    django_opentrain.fields.IdField(
                        help_text="An action that is observed twice is stored once",
                        max_length=200,
                        unique=True,
                        verbose_name="key",
                    ),
                ),
                ("tenant", django_opentrain.fields.IdField(max_length=200, verbose_name="customer")),
                (
                    "opentrain_user_id",
                    django_opentrain.fields.IdField(
                        help_text="The trainer who acted", max_length=200, verbose_name="OpenTrain user id"
                    ),
                ),
                (
                    "external_project_id",
                    django_opentrain.fields.IdField(max_length=200, verbose_name="external project id"),
                ),
                (
                    "object_id",
                    django_opentrain.fields.IdField(
                        blank=True,
                        help_text="The host's id of what was worked on",
                        max_length=200,
                        verbose_name="object",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("SUBMITTED", "submitted"),
                            ("UPDATED", "updated"),
                            ("SKIPPED", "skipped"),
                            ("DRAFTED", "drafted"),
                            ("REVIEWED", "reviewed"),
                            ("CONFIRMED", "confirmed"),
                            ("UNCONFIRMED", "unconfirmed"),
                            ("DELETED", "deleted by the trainer"),
                            ("REMOVED", "removed by others"),
                            ("ACTIVITY", "active time"),
                            ("CORRECTED", "corrected"),
                        ],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        help_text="When it happened: the end of its time", verbose_name="at"
                    ),
                ),
                ("work_date", models.DateField(verbose_name="work date")),
                (
                    "duration",
                    models.DurationField(
                        default=datetime.timedelta(0), help_text="The time it claims", verbose_name="duration"
                    ),
                ),
                ("tasks", models.IntegerField(default=0, verbose_name="tasks")),
                ("labels", models.IntegerField(default=0, verbose_name="labels")),
                (
                    "access_since",
                    models.DateTimeField(help_text="No time before that counts", verbose_name="access since"),
                ),
                ("observed_at", models.DateTimeField(verbose_name="observed at")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("corrected_by", models.CharField(blank=True, max_length=300, verbose_name="corrected by")),
            ],
            options={
                "verbose_name": "work entry",
                "verbose_name_plural": "work entries",
                "indexes": [
                    models.Index(fields=["opentrain_user_id", "at", "id"], name="opentrain_work_trainer"),
                    models.Index(fields=["object_id", "opentrain_user_id"], name="opentrain_work_object"),
                    models.Index(fields=["at"], name="opentrain_work_at"),
                ],
            },
        ),
    ]
