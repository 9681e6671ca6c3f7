"""The log stays whatever a session says: only a role that could remove the trigger may retire entries."""

from django.db import migrations

FIRM = """
CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('erip.audit_retire', true) = 'yes'
       AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_changes")]

    operations = [migrations.RunSQL(FIRM, migrations.RunSQL.noop)]
