from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0026_links_linked_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="install",
            name="foreign_endpoints",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="The origins of other sites at which OpenTrain lists webhook endpoints of this connection",
                verbose_name="endpoints of other sites",
            ),
        ),
    ]
