"""The archive's index on codes of errors has the expression of the table of runs: a filter on both then uses both."""

from django.db import migrations

AS_IN_THE_HOT_TABLE = """
DROP INDEX archived_run_error;
CREATE INDEX archived_run_error ON workflows_archivedrun
    ("left"(coalesce(error #>> ARRAY['cause', 'code'], error ->> 'code'), 100), id DESC) WHERE error IS NOT NULL
"""
AS_IT_WAS = """
DROP INDEX archived_run_error;
CREATE INDEX archived_run_error ON workflows_archivedrun
    ("left"(coalesce(error -> 'cause' ->> 'code', error ->> 'code'), 100), id DESC) WHERE error IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0013_batches")]

    operations = [migrations.RunSQL(AS_IN_THE_HOT_TABLE, AS_IT_WAS)]
