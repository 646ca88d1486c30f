from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0033_counters"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="contract",
            index=models.Index(fields=["opentrain_id"], name="opentrain_contract_id"),
        ),
        migrations.AddIndex(
            model_name="contract",
            index=models.Index(fields=["job_id"], name="opentrain_contract_job"),
        ),
        migrations.AddIndex(
            model_name="contract",
            index=models.Index(
                fields=["title"], name="opentrain_contract_title", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(
                fields=["display_name"], name="opentrain_participant_name", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["delivery_id"], name="opentrain_event_delivery"),
        ),
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["resource_id"], name="opentrain_event_resource"),
        ),
        migrations.AddIndex(
            model_name="dailyusage",
            index=models.Index(fields=["work_date", "id"], name="opentrain_usage_newest"),
        ),
        migrations.AddIndex(
            model_name="dailyusage",
            index=models.Index(fields=["worker_id"], name="opentrain_usage_worker"),
        ),
    ]
