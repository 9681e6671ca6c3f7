"""The log's months are made and dropped by functions that run as the database's owner, as the archive's are.

See workflows/migrations/0019_archive_months.py, which does the same for finished runs.
"""

from typing import Any

from django.db import migrations

FLOOR = "CREATE FUNCTION events_log_floor() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0'"

# Rows are written once and read rarely: vacuuming goes by a fixed number of rows, not by size (migration 0001).
MAKE = """
CREATE FUNCTION events_make_log_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE name text := 'events_event' || to_char(month, '"_"YYYY"_"MM');
BEGIN
    IF month <> date_trunc('month', month)::date THEN
        RAISE EXCEPTION 'not the first day of a month: %', month;
    END IF;
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF events_event FOR VALUES FROM (%L) TO (%L)', name,
                   month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0, '
                   'autovacuum_vacuum_insert_threshold = 5000000, autovacuum_analyze_scale_factor = 0, '
                   'autovacuum_analyze_threshold = 1000000)', name);
END $$
"""

DROP = """
CREATE FUNCTION events_drop_log_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE kept int := events_log_floor();
BEGIN
    IF kept IS NULL OR (month + interval '1 month')::timestamp AT TIME ZONE 'UTC' > now() - make_interval(days => kept) THEN
        RAISE EXCEPTION 'the log of % is still kept', to_char(month, 'YYYY-MM') USING ERRCODE = 'insufficient_privilege',
            HINT = 'ERIP_KEEP_EVENT_MONTHS applies to the database from the next "manage.py roles apply" on.';
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', 'events_event' || to_char(month, '"_"YYYY"_"MM'));
END $$
"""
NAMES = ("events_drop_log_month(date)", "events_make_log_month(date)", "events_log_floor()")


def make(_: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        schema = cursor.fetchone()[0]
        for statement in (FLOOR, MAKE, DROP):
            cursor.execute(statement.replace("{schema}", schema))
        for name in NAMES:
            cursor.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")


def drop(_: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"DROP FUNCTION {', '.join(NAMES)}")


class Migration(migrations.Migration):
    dependencies = [("events", "0007_tried_alone")]
    operations = [migrations.RunPython(make, drop)]
