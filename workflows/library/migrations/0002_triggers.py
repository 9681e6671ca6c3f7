"""What the database itself enforces: versions of reference data, and decision versions that never change."""

from django.db import migrations

AREAS = {
    "nexus": ["library_kevcatalogue", "library_keventry", "library_pastincident"],
    "atlas": ["library_organisation", "library_asset", "library_control", "library_control_assets"],
    "compass": ["library_obligation", "library_requirement"],
    "prism": ["library_lossfactor"],
    "clearance": ["library_decisiontable", "library_decisionversion"],
    "notify": ["library_notificationtarget"],
}

FUNCTIONS = """
CREATE FUNCTION library_renew_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO library_referenceversion (area, token, changed_at)
    VALUES (TG_ARGV[0], gen_random_uuid(), clock_timestamp())
    ON CONFLICT (area) DO UPDATE SET token = excluded.token, changed_at = excluded.changed_at;
    RETURN NULL;
END $$;

CREATE FUNCTION library_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a decision version never changes; publish the next one'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER decision_version_is_immutable BEFORE UPDATE OR DELETE ON library_decisionversion
    FOR EACH ROW EXECUTE FUNCTION library_refuse_change();
"""

# Each statement renews the token once, however many rows it writes; no code path can forget it.
TRIGGERS = "".join(
    f"CREATE TRIGGER {table}_version AFTER INSERT OR UPDATE OR DELETE ON {table}"
    f" FOR EACH STATEMENT EXECUTE FUNCTION library_renew_version('{area}');\n"
    for area, tables in AREAS.items()
    for table in tables
)

UNDO = (
    "".join(f"DROP TRIGGER {table}_version ON {table};\n" for tables in AREAS.values() for table in tables)
    + """
DROP TRIGGER decision_version_is_immutable ON library_decisionversion;
DROP FUNCTION library_refuse_change();
DROP FUNCTION library_renew_version();
"""
)


class Migration(migrations.Migration):
    dependencies = [("library", "0001_initial")]
    operations = [migrations.RunSQL(FUNCTIONS + TRIGGERS, UNDO)]
