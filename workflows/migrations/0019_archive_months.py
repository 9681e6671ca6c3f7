"""The archive's months are made and dropped by functions that run as the database's owner.

The application's role may then be one that cannot change tables (docs/how-to/database-roles.md). Each function does one
thing: `workflows_make_archive_month` makes the partitions of a month, `workflows_drop_archive_month` drops those of a
month past the retention, which `workflows_archive_floor` says in days (null: nothing is ever dropped). The owner replaces
that function at every `migrate`; 0 means that only the caller decides, as it does where there is one role.
"""

from typing import Any

from django.db import migrations

FLOOR = "CREATE FUNCTION workflows_archive_floor() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0'"

MAKE = """
CREATE FUNCTION workflows_make_archive_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    parent text;
    -- the smallest UUIDv7 of a moment: 48 bits of milliseconds, then zeros
    first uuid := rpad(lpad(to_hex((extract(epoch FROM month::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0'),
                       32, '0');
    past uuid := rpad(lpad(to_hex((extract(epoch FROM (month + interval '1 month')::timestamp AT TIME ZONE 'UTC') * 1000)
                                  ::bigint), 12, '0'), 32, '0');
BEGIN
    IF month <> date_trunc('month', month)::date THEN
        RAISE EXCEPTION 'not the first day of a month: %', month;
    END IF;
    FOREACH parent IN ARRAY ARRAY['workflows_archivedsteprun', 'workflows_archivedrunevent', 'workflows_archivedrun'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                       parent || to_char(month, '"_"YYYY"_"MM'), parent, first, past);
    END LOOP;
END $$
"""

DROP = """
CREATE FUNCTION workflows_drop_archive_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    parent text;
    kept int := workflows_archive_floor();
BEGIN
    IF kept IS NULL OR (month + interval '1 month')::timestamp AT TIME ZONE 'UTC' > now() - make_interval(days => kept) THEN
        RAISE EXCEPTION 'the archive of % is still kept', to_char(month, 'YYYY-MM') USING ERRCODE = 'insufficient_privilege',
            HINT = 'ERIP_KEEP_ARCHIVE_MONTHS applies to the database from the next "manage.py roles apply" on.';
    END IF;
    FOREACH parent IN ARRAY ARRAY['workflows_archivedsteprun', 'workflows_archivedrunevent', 'workflows_archivedrun'] LOOP
        EXECUTE format('DROP TABLE IF EXISTS %I', parent || to_char(month, '"_"YYYY"_"MM'));
    END LOOP;
END $$
"""
NAMES = ("workflows_drop_archive_month(date)", "workflows_make_archive_month(date)", "workflows_archive_floor()")


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
    dependencies = [("workflows", "0018_leaders")]
    operations = [migrations.RunPython(make, drop)]
