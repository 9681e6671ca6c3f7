"""An event is set aside only if a process ended while it tried this event and nothing else."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("events", "0006_pending_starts")]

    operations = [
        migrations.AddField(
            "partition",
            "suspect_tries",
            models.PositiveIntegerField(
                db_default=0, help_text="Owners that tried that event again, with nothing else in their process."
            ),
        ),
    ]
