"""Every area has a version from the start, so that the caches also hold an area that has never been written to."""

from django.db import migrations

AREAS = ("nexus", "atlas", "compass", "prism", "clearance", "notify")

ADD = "INSERT INTO library_referenceversion (area, token, changed_at) VALUES {} ON CONFLICT DO NOTHING".format(
    ", ".join(f"('{area}', gen_random_uuid(), clock_timestamp())" for area in AREAS)
)


class Migration(migrations.Migration):
    dependencies = [("library", "0002_triggers")]
    operations = [migrations.RunSQL(ADD, migrations.RunSQL.noop)]
