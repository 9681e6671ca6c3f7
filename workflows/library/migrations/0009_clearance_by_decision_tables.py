"""CLEARANCE's tables become decision tables: the latest version of each is published as one, by its author.

A decision table that has the name already stays in force. The former tables stay, for workers of the release before.
"""

from typing import Any

from django.db import migrations

from workflows.core.source import content_hash
from workflows.core.tables.document import TableInvalid, read
from workflows.library.clearance.former import as_document

# Whoever publishes a decision table renews the token by which the steps know that it has changed.
TRIGGER = """
CREATE TRIGGER decisions_decisionversion_reference AFTER INSERT ON decisions_decisionversion
    FOR EACH STATEMENT EXECUTE FUNCTION library_renew_version('clearance');
"""


def publish(apps: Any, _: Any) -> None:
    tables, versions = (apps.get_model("decisions", name) for name in ("DecisionTable", "DecisionVersion"))
    for former in apps.get_model("library", "DecisionTable").objects.order_by("name"):
        latest = former.versions.order_by("-number").first()
        if latest is None or tables.objects.filter(name=former.name).exists():
            continue
        document = as_document(latest.document, description=former.description)
        try:
            read(document)
        except TableInvalid as error:
            # Such as a field whose name FEEL cannot say. A definition that names the table fails, and says so.
            print(f"  the decision table {former.name} has to be published anew: {error}"[:1000])  # noqa: T201
            continue
        table = tables.objects.create(name=former.name, latest=1)
        versions.objects.create(
            table=table, number=1, document=document, content_hash=content_hash(document), author=latest.author
        )


class Migration(migrations.Migration):
    dependencies = [("library", "0008_obligation_checks"), ("decisions", "0001_tables")]
    operations = [
        migrations.RunPython(publish, migrations.RunPython.noop, elidable=False),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER decisions_decisionversion_reference ON decisions_decisionversion"),
    ]
