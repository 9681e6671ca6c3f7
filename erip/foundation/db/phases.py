"""Migrations that take away what an earlier release uses, and what this process knows of them.

Note [Contracting]
A migration that drops or renames what the release before reads, or demands what it leaves out, says so:

    class Migration(migrations.Migration):
        contracts = "releases before 0.3 read risk_score.value"

`manage.py migrate` applies it when no process is left that does not know of it, and leaves it for later until then.
What a process knows is what the files say that it was started from: a release that has the migration no longer uses
what the migration takes away. Each process reports these names with its other figures (`monitoring.reporting`). One
that says nothing is of a release that knows of none. So nobody has to compare releases, or to say which one is older.

The files are searched for the word before any is imported: a process imports no migrations otherwise.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from django.apps import AppConfig, apps
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

#: how `migrate` begins to say what it did not apply
LEFT = "Left for later:"
#: the attribute of a migration
MARK = "contracts"


def reason(migration: Migration) -> str:
    """What an earlier release still uses; "" of a migration that takes nothing away."""
    return str(getattr(migration, MARK, "") or "")


def known() -> list[str]:
    """The migrations that contract in the files of this process, as app.name."""
    return sorted(name for app in apps.get_app_configs() for name in _of(app))


def _of(app: AppConfig) -> Iterator[str]:
    package, _ = MigrationLoader.migrations_module(app.label)
    spec = find_spec(package) if package else None
    folders = (spec.submodule_search_locations or ()) if spec else ()
    for file in sorted(file for folder in folders for file in Path(folder).glob("*.py")):
        if MARK in file.read_text("utf-8"):
            migration = getattr(import_module(f"{package}.{file.stem}"), "Migration", None)
            if migration is not None and reason(migration):
                yield f"{app.label}.{file.stem}"
