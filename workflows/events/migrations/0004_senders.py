"""Who sent an event is recorded with it: in the log, and with its dead letters. For older events the sender is
unknown."""

from django.db import migrations, models

# Adding a nullable column rewrites no table. `*` in a view keeps the meaning that it had when the view was made.
COLUMN = """
ALTER TABLE events_event ADD COLUMN sender text COLLATE "C";
CREATE OR REPLACE VIEW events_logentry AS SELECT partition || '-' || position AS id, * FROM events_event;
"""
BACK = """
DROP VIEW events_logentry;
ALTER TABLE events_event DROP COLUMN sender;
CREATE VIEW events_logentry AS SELECT partition || '-' || position AS id, * FROM events_event;
"""


class Migration(migrations.Migration):

    dependencies = [("events", "0003_subscriptions")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(COLUMN, BACK)],
            state_operations=[
                migrations.AddField("event", "sender", models.TextField(null=True)),
            ],
        ),
        migrations.AddField(
            "deadletter",
            "sender",
            models.TextField(help_text="The principal who sent it, if that is known.", null=True),
        ),
    ]
