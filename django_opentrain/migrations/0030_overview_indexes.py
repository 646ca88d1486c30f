from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0029_usage_owed_or_unknown"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="contract",
            index=models.Index(
                fields=["install", "status", "budget_state"], name="opentrain_contract_budget"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["received_at", "status"], name="opentrain_event_received"),
        ),
        # The index of its own: the one with the status begins with it.
        migrations.AlterField(
            model_name="webhookevent",
            name="received_at",
            field=models.DateTimeField(verbose_name="received at"),
        ),
    ]
