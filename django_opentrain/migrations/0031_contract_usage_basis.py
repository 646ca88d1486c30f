from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0030_overview_indexes"),
    ]

    operations = [
        migrations.AddField(
            model_name="contract",
            name="usage_basis",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="A digest of what the collected days depended on beside the work ledger's entries",
                max_length=64,
                verbose_name="usage basis",
            ),
        ),
    ]
