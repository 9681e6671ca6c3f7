"""An app of one's own with a large table, in two releases: the newer one adds a column, and fills it in the background.

A trigger sets the column in whatever the older release writes meanwhile: Note [Backfills] in
`erip.foundation.db.backfills`.
"""

import shutil
from pathlib import Path
from typing import Final

NAME: Final = "rehearsed"
TABLE: Final = "rehearsed_row"
BACKFILL: Final = "rehearsed.sizes"

_BEFORE: Final = {
    "__init__.py": "",
    "migrations/__init__.py": "",
    "apps.py": """
from django.apps import AppConfig


class RehearsedConfig(AppConfig):
    name = "rehearsed"
    default_auto_field = "django.db.models.BigAutoField"
""",
    "models.py": """
from django.db import models


class Row(models.Model):
    note = models.TextField()
""",
    # A release from before the audit log recorded rows has no such hook.
    "hooks.py": """
from erip.foundation import hooks

if hasattr(hooks, "unrecorded"):
    hooks.unrecorded(("rehearsed_row", "a benchmark's own"))
""",
    "migrations/0001_rows.py": """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Row", [("id", models.BigAutoField(primary_key=True)), ("note", models.TextField())]),
    ]
""",
}
_AFTER: Final = {
    "models.py": _BEFORE["models.py"] + "    size = models.IntegerField(null=True)\n",
    "migrations/0002_sizes.py": """
from django.db import migrations, models

from erip.foundation.db.backfills import Backfill


class Migration(migrations.Migration):
    dependencies = [("rehearsed", "0001_rows"), ("erip", "0001_backfills")]
    operations = [
        migrations.AddField("row", "size", models.IntegerField(null=True)),
        migrations.RunSQL(
            '''
            CREATE FUNCTION rehearsed_size() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.size := length(NEW.note); RETURN NEW; END $$;
            CREATE TRIGGER rehearsed_size BEFORE INSERT OR UPDATE OF note ON rehearsed_row
                FOR EACH ROW EXECUTE FUNCTION rehearsed_size();
            ''',
            "DROP TRIGGER rehearsed_size ON rehearsed_row; DROP FUNCTION rehearsed_size()",
        ),
        Backfill("rehearsed.sizes", table="rehearsed_row", set="size = length(note)", where="size IS NULL"),
    ]
""",
}


def write(folder: Path, *, newer: bool) -> None:
    """Put the files of one of its releases into this folder, and take away those of the other."""
    wanted = {**_BEFORE, **(_AFTER if newer else {})}
    package = folder / NAME
    for name in _AFTER.keys() - wanted.keys():
        (package / name).unlink(missing_ok=True)
    for name, text in wanted.items():
        file = package / name
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.write_text(text.lstrip(), "utf-8")
    # What was compiled from the other release's files in the same second would be taken for these.
    for cache in package.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
