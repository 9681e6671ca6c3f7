"""The deaths of a partition's owners are recorded: an event that ends one process after the other is set aside."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("events", "0004_senders")]

    operations = [
        migrations.AddField(
            "partition",
            "deaths",
            models.PositiveIntegerField(db_default=0, help_text="Owners that died since a round last went well."),
        ),
        migrations.AddField(
            "partition",
            "suspect_block",
            models.BigIntegerField(help_text="Of the event that its owner tried alone last.", null=True),
        ),
        migrations.AddField("partition", "suspect_offset", models.PositiveIntegerField(null=True)),
    ]
