import django.contrib.postgres.fields
from django.db import migrations, models

# By hand: Django's arrays of floats have 8 bytes for each value, of which a chart needs 4. 600 series are 2.4 kB a
# frame, which PostgreSQL compresses and keeps aside.
FRAME = """
CREATE TABLE monitoring_frame (
    tier smallint NOT NULL CHECK (tier > 0),
    at timestamptz NOT NULL,
    mean real[] NOT NULL,
    low real[],
    high real[],
    last real[],
    PRIMARY KEY (tier, at)
);
"""
# A report changes every two seconds and has no index on what changes: there is room for the next version on its page.
# As unlogged it costs no write to the log, and a commit does not wait for the disk.
COMPONENT = """
ALTER TABLE monitoring_component SET UNLOGGED;
ALTER TABLE monitoring_component SET (
    fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FRAME, "DROP TABLE monitoring_frame")],
            state_operations=[
                migrations.CreateModel(
                    name="Frame",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tier", "at", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("tier", models.PositiveSmallIntegerField(help_text="Seconds that it covers.")),
                        ("at", models.DateTimeField(help_text="The end of what it covers, a multiple of `tier`.")),
                        (
                            "mean",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.FloatField(null=True), size=None
                            ),
                        ),
                        (
                            "low",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.FloatField(null=True), null=True, size=None
                            ),
                        ),
                        (
                            "high",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.FloatField(null=True), null=True, size=None
                            ),
                        ),
                        (
                            "last",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.FloatField(null=True), null=True, size=None
                            ),
                        ),
                    ],
                    options={"ordering": ["tier", "at"]},
                ),
            ],
        ),
        migrations.CreateModel(
            name="Component",
            fields=[
                ("life", models.UUIDField(primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=20)),
                ("host", models.CharField(max_length=200)),
                ("pid", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("stopped_at", models.DateTimeField(null=True)),
                ("series", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("values", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
                ("observed", models.JSONField(null=True)),
            ],
            options={"ordering": ["kind", "host", "pid"]},
        ),
        migrations.RunSQL(COMPONENT, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="ComponentState",
            fields=[
                ("component", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("state", models.CharField(max_length=10)),
                ("since", models.DateTimeField()),
                ("sentence", models.TextField()),
                (
                    "identity",
                    models.TextField(
                        blank=True, default="", help_text="Changes when the thing observed was started anew."
                    ),
                ),
                ("changed_at", models.DateTimeField(null=True)),
            ],
            options={"ordering": ["component"]},
        ),
        migrations.CreateModel(
            name="Series",
            fields=[
                ("id", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("metric", models.CharField(max_length=200)),
                ("labels", models.JSONField()),
                ("rate", models.BooleanField()),
            ],
            options={
                "verbose_name_plural": "series",
                "ordering": ["id"],
                "constraints": [models.UniqueConstraint(fields=("metric", "labels"), name="series_once")],
            },
        ),
    ]
