from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0034_search_indexes"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["endpoint", "received_at"], name="opentrain_event_endpoint"),
        ),
    ]
