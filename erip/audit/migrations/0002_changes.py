"""What an operation changed, row by row: Note [Recorded changes] in `erip/audit/changes.py`."""

from django.db import migrations, models

CHANGES = """
ALTER TABLE audit_entry ADD COLUMN changes text;

-- A value as it is recorded: a secret, and what is long, as its hash.
CREATE FUNCTION audit_shown(value jsonb, hashed boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE
    WHEN value IS NULL OR value = 'null' THEN 'null'::jsonb
    WHEN hashed THEN jsonb_build_object('sha256', encode(sha256(convert_to(value #>> '{}', 'UTF8')), 'hex'))
    WHEN length(value::text) > 500 THEN jsonb_build_object(
        'sha256', encode(sha256(convert_to(value #>> '{}', 'UTF8')), 'hex'), 'length', length(value #>> '{}'))
    ELSE value
END
$$;

-- Notes for the transaction how this row changed. Arguments: arrays of the columns that name the row, that are recorded
-- as hashes, and that are left out.
CREATE FUNCTION audit_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := coalesce(current_setting('erip.changes', true), '');
    was jsonb := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) END;
    now_is jsonb := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
    before jsonb;
    after jsonb;
    change jsonb;
BEGIN
    IF length(noted) > 30000 THEN
        PERFORM set_config('erip.more_changes',
            (coalesce(nullif(current_setting('erip.more_changes', true), ''), '0')::bigint + 1)::text, true);
        RETURN NULL;
    END IF;
    SELECT jsonb_object_agg(name, audit_shown(was -> name, name = ANY (TG_ARGV[1]::text[]))),
           jsonb_object_agg(name, audit_shown(now_is -> name, name = ANY (TG_ARGV[1]::text[])))
    INTO before, after
    FROM jsonb_object_keys(coalesce(now_is, was)) AS name
    WHERE name <> ALL (TG_ARGV[2]::text[])
      AND coalesce(was -> name, 'null') IS DISTINCT FROM coalesce(now_is -> name, 'null');
    IF before IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_build_object('object', TG_TABLE_NAME || '/' || string_agg(coalesce(now_is, was) ->> name, ','))
    INTO change FROM unnest(TG_ARGV[0]::text[]) AS name;
    IF was IS NOT NULL THEN
        change := change || jsonb_build_object('before', before);
    END IF;
    IF now_is IS NOT NULL THEN
        change := change || jsonb_build_object('after', after);
    END IF;
    PERFORM set_config('erip.changes', noted || CASE WHEN noted = '' THEN '' ELSE ',' END || change::text, true);
    RETURN NULL;
END $$;

-- What was noted in this transaction since the last entry, as a JSON array; NULL is nothing.
CREATE FUNCTION audit_take_changes() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    noted text := coalesce(current_setting('erip.changes', true), '');
    more text := coalesce(current_setting('erip.more_changes', true), '');
BEGIN
    IF noted = '' THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('erip.changes', '', true), set_config('erip.more_changes', '', true);
    RETURN '[' || noted || CASE WHEN more = '' THEN '' ELSE ',{"more":' || more || '}' END || ']';
END $$;

-- So whoever writes an entry records the changes with it, without another statement.
ALTER TABLE audit_entry ALTER COLUMN changes SET DEFAULT audit_take_changes();

CREATE OR REPLACE FUNCTION audit_canonical(e audit_entry) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT '{"id":' || e.id || ',"xid":' || e.xid || ',"at":' || (extract(epoch FROM e.at) * 1000000)::bigint
    || ',"role":' || to_json(e.role) || ',"entry":' || e.body || coalesce(',"changes":' || e.changes, '') || '}'
$$;
"""

BACK = """
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT tgname, tgrelid::regclass::text AS name FROM pg_trigger
        WHERE tgfoid = 'audit_changed'::regproc AND NOT tgisinternal
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', one.tgname, one.name);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION audit_canonical(e audit_entry) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT '{"id":' || e.id || ',"xid":' || e.xid || ',"at":' || (extract(epoch FROM e.at) * 1000000)::bigint
    || ',"role":' || to_json(e.role) || ',"entry":' || e.body || '}'
$$;
ALTER TABLE audit_entry DROP COLUMN changes;
DROP FUNCTION audit_take_changes();
DROP FUNCTION audit_changed();
DROP FUNCTION audit_shown(jsonb, boolean);
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_log")]

    operations = [
        migrations.RunSQL(
            CHANGES,
            BACK,
            state_operations=[
                migrations.AddField("entry", "changes", models.TextField(editable=False, null=True)),
            ],
        ),
    ]
