"""Migrations that take away what an earlier release uses, and what this process knows of them.

Note [Contracting]
A migration that drops or renames what the release before reads, or demands what it leaves out, says so:

    class Migration(migrations.Migration):
        contracts = "releases before 0.3 read risk_score.value"

`manage.py migrate` applies it when no process is left that does not know of it, and leaves it for later until then.
What a process knows is what the files say that it was started from: a release that has the migration no longer uses
what the migration takes away. Each process reports these names with its other figures (`monitoring.reporting`). One
that says nothing is of a release that knows of none. So nobody has to compare releases, or to say which one is older.

A process that stands by writes nothing, and so reports nothing: it is not seen. So `migrate` notes which of them it
applied, in the comment on the table django_migrations, which a standby has too, and which an earlier release can read;
such a process looks at it when its turn comes (`erip.foundation.process.parked`).

The files are searched for the word before any is imported: a process imports no migrations otherwise. That is done
once: children of a web service that are forked later run the code that was loaded before, whatever the files say then.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from django.apps import AppConfig, apps
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

#: how `migrate` begins to say what it did not apply
LEFT = "Left for later:"
#: the attribute of a migration
MARK = "contracts"
#: how the comment on django_migrations begins; names follow, with a space between two
_NOTED: Final = "Contracted: "
#: a row with those of them that are applied, as app.name
CONTRACTED: Final = """
SELECT coalesce(array_agg(app || '.' || name ORDER BY id), '{}') AS contracted FROM django_migrations
WHERE app || '.' || name = ANY (string_to_array(obj_description('django_migrations'::regclass, 'pg_class'), ' '))
"""


def reason(migration: Migration) -> str:
    """What an earlier release still uses; "" of a migration that takes nothing away."""
    return str(getattr(migration, MARK, "") or "")


def held(executor: MigrationExecutor, plan: Iterable[tuple[Migration, bool]]) -> list[str]:
    """Those of a plan that contract, and those that need one of them, as app.name, in their order."""
    graph = executor.loader.graph
    found: set[tuple[str, str]] = set()
    names = []
    for migration, backwards in plan:
        key = (migration.app_label, migration.name)
        if not backwards and (reason(migration) or found & set(graph.forwards_plan(key))):
            found.add(key)
            names.append(".".join(key))
    return names


def unapplied(executor: MigrationExecutor) -> tuple[list[str], list[str]]:
    """What the database lacks, as app.name: the migrations without which this release cannot work, and those that
    contract, which have to wait as long as an earlier release works beside it.

    One that only needs a contracting one is among the first, though `migrate` cannot apply it before: this release's
    code uses what it adds.
    """
    needed: list[str] = []
    later: list[str] = []
    for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes()):
        (later if reason(migration) else needed).append(f"{migration.app_label}.{migration.name}")
    return needed, later


@cache
def known() -> tuple[str, ...]:
    """The migrations that contract in the files of this process, as app.name; as they were when it was asked first."""
    return tuple(sorted(name for app in apps.get_app_configs() for name in _of(app)))


def note(connection: Any, following: str = "") -> None:
    """Note those of this release that are applied beside those that are noted, and `following`, which is applied next:
    what it takes away must not be gone anywhere before that is noted. Only what is applied counts (CONTRACTED). As the
    owner of the tables."""
    loader = MigrationLoader(connection)
    applied, known = loader.applied_migrations or {}, loader.disk_migrations or {}
    found = sorted(".".join(key) for key, one in known.items() if key in applied and reason(one))
    found += [following] if following else []
    if not found:
        return  # a database that nobody has migrated has no such table
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description('django_migrations'::regclass, 'pg_class')")
        said = str((cursor.fetchone() or ("",))[0] or "")
        noted = said.removeprefix(_NOTED).split() if said.startswith(_NOTED) else []
        if new := [name for name in found if name not in noted]:
            # A statement that is none of data takes no parameters.
            cursor.execute(
                "SELECT format('COMMENT ON TABLE django_migrations IS %%L', %s)", [_NOTED + " ".join(noted + new)]
            )
            cursor.execute((cursor.fetchone() or ("",))[0])


def lacking(contracted: Iterable[str]) -> list[str]:
    """Of these, those that this process does not know, of apps that it has: it may use what they took away."""
    return sorted(name for name in contracted if name not in known() and name.partition(".")[0] in apps.app_configs)


def _of(app: AppConfig) -> Iterator[str]:
    package, _ = MigrationLoader.migrations_module(app.label)
    spec = find_spec(package) if package else None
    folders = (spec.submodule_search_locations or ()) if spec else ()
    for file in sorted(file for folder in folders for file in Path(folder).glob("*.py")):
        if MARK in file.read_text("utf-8"):
            migration = getattr(import_module(f"{package}.{file.stem}"), "Migration", None)
            if migration is not None and reason(migration):
                yield f"{app.label}.{file.stem}"
