"""Archived runs are removed one by one by a function that runs as the database's owner, as their months are.

`workflows_forget_archived_runs` removes runs that ended long enough ago, which `workflows_retention_floor` says in days
(null: it removes none). The owner replaces that function at every `migrate`; 0 means that only the caller decides, as
it does where there is one role.
"""

from typing import Any

from django.db import migrations

FLOOR = "CREATE FUNCTION workflows_retention_floor() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0'"

FORGET = """
CREATE FUNCTION workflows_forget_archived_runs(ids uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    kept int := workflows_retention_floor();
    removed bigint;
BEGIN
    IF EXISTS (SELECT FROM workflows_archivedrun r WHERE r.id = ANY (ids)
               AND (kept IS NULL OR r.finished_at IS NULL OR r.finished_at > now() - make_interval(days => kept))) THEN
        RAISE EXCEPTION 'these runs are still kept' USING ERRCODE = 'insufficient_privilege',
            HINT = 'ERIP_RETENTION_LEAST_DAYS applies to the database from the next "manage.py roles apply" on.';
    END IF;
    DELETE FROM workflows_archivedsteprun WHERE run_id = ANY (ids);
    DELETE FROM workflows_archivedrunevent WHERE run_id = ANY (ids);
    DELETE FROM workflows_archivedrun WHERE id = ANY (ids);
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$
"""
NAMES = ("workflows_forget_archived_runs(uuid[])", "workflows_retention_floor()")


def make(_: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        schema = cursor.fetchone()[0]
        for statement in (FLOOR, FORGET):
            cursor.execute(statement.replace("{schema}", schema))
        # Everybody may know the floor; it says nothing of any run.
        cursor.execute(f"REVOKE ALL ON FUNCTION {NAMES[0]} FROM PUBLIC")


def drop(_: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"DROP FUNCTION {', '.join(NAMES)}")


class Migration(migrations.Migration):
    dependencies = [("workflows", "0024_batch_workflows")]
    operations = [migrations.RunPython(make, drop)]
