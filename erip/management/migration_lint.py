"""Names migrations that are not safe while the release before goes on: they lock a table that is in use, rewrite it, or
take away what the old code still reads or leave out what it does not write.

Note [Unsafe migrations]
Two releases run side by side during an upgrade, and the old one must go on through each migration. So a migration may
add, and may not take away; that comes with a later release, when no process of the old one is left, in a migration that
says so (Note [Contracting] in `erip.foundation.db.phases`). What each statement locks is in PostgreSQL's documentation,
"Explicit Locking" and the notes of ALTER TABLE. A table that the same migration makes is empty and unknown to the old
release: whatever is done to it is safe.

What this cannot see: how large a table is, and whether the old code reads what is altered. What it does not know to be
harmless is named, to be looked at: a function in Python, a DO block, a trigger, an operation of somebody's own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from erip.foundation.db import phases
from erip.management import harmless_sql


class Old(StrEnum):
    """What becomes of the release before."""

    #: it waits for a lock, or for nothing
    GOES_ON = "goes on"
    #: it reads or writes what is no longer there, or leaves out what has to be
    BREAKS = "breaks"
    #: nothing here can judge
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Unsafe:
    """migration: app.name. what: what happens. instead: what to do in its place. old: what becomes of the release
    before."""

    migration: str
    what: str
    instead: str
    old: Old = Old.UNKNOWN

    def __str__(self) -> str:
        return f"{self.migration}: {self.what}. Instead: {self.instead}"


_LATER = (
    'take it away in a release after the one that no longer uses it, in a migration that says so: contracts = "why"'
)
_CONCURRENTLY = "AddIndexConcurrently in a migration with atomic = False"
_NOT_VALID = "add it NOT VALID, and validate it in a migration of its own"
_IN_SQL = "CREATE INDEX CONCURRENTLY in a migration with atomic = False"
_BATCHES, _AUTOVACUUM = "work in batches that lock rows", "leave it to autovacuum"
_GIVEN = "null=True, or db_default"
#: whose fault is only how long they hold a lock
_LOCKS_ONLY = (_CONCURRENTLY, _IN_SQL, _BATCHES, _AUTOVACUUM)

#: operations that are of another kind with less of a lock
_BESIDE: Final = frozenset({"AddIndexConcurrently", "RemoveIndexConcurrently", "AddConstraintNotValid"})
#: operations that the old release does not notice, beside those that are looked at one by one
_HARMLESS: Final = frozenset(
    {
        *("AlterModelOptions", "AlterModelManagers", "AlterModelTableComment", "AddField", "AlterField"),
        *("RemoveIndex", "RenameIndex", "RemoveConstraint", "ValidateConstraint", "Backfill", "Finished"),
    }
)

#: a statement, what it does, and what to do in its place
_STATEMENTS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), what, instead)
    for pattern, what, instead in (
        (
            r"\bCREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)(IF\s+NOT\s+EXISTS\s+)?\S+\s+ON\s+(ONLY\s+)?(?P<table>\S+)",
            "an index is built while nobody can write to {table}",
            _IN_SQL,
        ),
        (
            r"\bALTER\s+TABLE\s+(?P<table>\S+).*?\bTYPE\b",
            "a column of {table} gets another type, which rewrites it",
            "add a column, fill it in batches, and change over in a later release",
        ),
        (
            r"\bALTER\s+TABLE\s+(?P<table>\S+).*?\bRENAME\b",
            "something of {table} is renamed under the old release",
            _LATER,
        ),
        (r"\bALTER\s+TABLE\s+(?P<table>\S+)\s+DROP\s+COLUMN\b", "a column of {table} is dropped", _LATER),
        (r"\bDROP\s+TABLE\s+(IF\s+EXISTS\s+)?(?P<table>\S+)", "{table} is dropped", _LATER),
        (
            r"\bALTER\s+TABLE\s+(?P<table>\S+).*?\bSET\s+NOT\s+NULL\b",
            "all rows of {table} are read under a lock that nobody passes",
            "add CHECK (… IS NOT NULL) NOT VALID, validate it in a later migration, then SET NOT NULL",
        ),
        (
            r"\bALTER\s+TABLE\s+(?P<table>\S+)\s+ADD\s+CONSTRAINT\b(?!.*\b(NOT\s+VALID|USING\s+INDEX)\b)",
            "all rows of {table} are checked under a lock",
            _NOT_VALID,
        ),
        (r"\bLOCK\s+TABLE\s+(?P<table>\S+)", "{table} is locked", _BATCHES),
        (
            r"\b(VACUUM\s+FULL|CLUSTER)\s+(?P<table>\S+)",
            "{table} is rewritten under a lock that nobody passes",
            _AUTOVACUUM,
        ),
    )
)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
#: bodies of functions run later, and not in the migration
_FUNCTION = re.compile(
    r"\bCREATE\s+(OR\s+REPLACE\s+)?FUNCTION\b.*?(?P<quote>\$\w*\$).*?(?P=quote)", re.IGNORECASE | re.DOTALL
)


def unsafe(migration: migrations.Migration, before: ProjectState) -> Iterator[Unsafe]:
    """Everything in one migration that Note [Unsafe migrations] is about. before: the models as they were."""
    name = f"{migration.app_label}.{migration.name}"
    made: set[str] = set()
    for operation in _flat(migration.operations):
        if isinstance(operation, migrations.CreateModel):
            made.add(operation.name_lower)
            made.add(str(operation.options.get("db_table") or f"{migration.app_label}_{operation.name_lower}"))
        else:
            for what, instead in _of(operation, made, _Before(before, migration.app_label)):
                yield Unsafe(name, what, instead, _old(instead))


def _old(instead: str) -> Old:
    """By what is to be done in its place."""
    if instead in (_LATER, _GIVEN):
        return Old.BREAKS
    return Old.GOES_ON if instead in _LOCKS_ONLY else Old.UNKNOWN


def _flat(operations: Sequence[Operation]) -> Iterator[Operation]:
    """With those that only change the database; those that only change Django's view of it do nothing to it."""
    for operation in operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from _flat(operation.database_operations)
        else:
            yield operation


@dataclass(frozen=True, slots=True)
class _Before:
    state: ProjectState
    app: str

    def field(self, model: str, name: str) -> models.Field | None:
        known = self.state.models.get((self.app, model))
        return known.fields.get(name) if known else None


def _of(operation: Operation, made: set[str], before: _Before) -> Iterator[tuple[str, str]]:
    kind = type(operation).__name__
    if isinstance(operation, migrations.RunSQL):
        yield from _of_sql(operation.sql, made)
    elif isinstance(operation, migrations.RunPython):
        if operation.code is not migrations.RunPython.noop:
            yield "a function runs, which nothing here can judge", "look at it: batches, and no lock held for long"
    elif isinstance(operation, migrations.DeleteModel):
        yield f"{operation.name} is dropped", _LATER
    elif isinstance(operation, migrations.RenameModel):
        yield f"{operation.old_name} is renamed under the old release", _LATER
    elif isinstance(operation, migrations.AlterModelTable):
        yield f"{operation.name} gets another table under the old release", _LATER
    elif on := str(getattr(operation, "model_name", None) or getattr(operation, "name", "")).lower():
        if on not in made:
            yield from _of_model(operation, on, before)
    elif kind not in _HARMLESS:
        yield _unknown(kind)


def _of_model(operation: Operation, on: str, before: _Before) -> Iterator[tuple[str, str]]:
    """What is done to a table that is in use."""
    kind = type(operation).__name__
    if kind in _BESIDE:
        return
    if isinstance(operation, migrations.AddIndex):
        yield f"an index is built while nobody can write to {on}", _CONCURRENTLY
    elif isinstance(operation, migrations.RemoveField):
        yield f"{on}.{operation.name} is dropped", _LATER
    elif isinstance(operation, migrations.RenameField):
        yield f"{on}.{operation.old_name} is renamed under the old release", _LATER
    elif isinstance(operation, migrations.AddConstraint):
        yield f"all rows of {on} are checked under a lock", _NOT_VALID
    elif isinstance(operation, migrations.AlterUniqueTogether):
        yield f"an index is built while nobody can write to {on}", _CONCURRENTLY
    elif isinstance(operation, migrations.AddField):
        yield from _of_new_field(operation, on)
    elif isinstance(operation, migrations.AlterField) and not _alike(before.field(on, operation.name), operation.field):
        yield (
            f"{on}.{operation.name} is altered: another type rewrites the table, NOT NULL reads it under a lock",
            "look at manage.py sqlmigrate; if it says ALTER COLUMN … TYPE or SET NOT NULL, add a column instead",
        )
    elif kind not in _HARMLESS:
        yield _unknown(f"{kind} of {on}")


def _unknown(what: str) -> tuple[str, str]:
    return f"{what}: cannot be judged here", "look at what it does: to the old release, and under which lock"


def _alike(old: models.Field | None, new: models.Field) -> bool:
    """Whether nothing changes that PostgreSQL would have to read or write rows for. A text may grow, and a column may
    become empty: neither looks at rows."""
    if old is None:
        return False
    kind, was = old.deconstruct()[1], dict(old.deconstruct()[3])
    other, now = new.deconstruct()[1], dict(new.deconstruct()[3])
    for name in ("help_text", "verbose_name", "choices", "validators", "default", "db_default", "blank", "editable"):
        was.pop(name, None)
        now.pop(name, None)
    if not now.pop("db_constraint", True):
        # A foreign key that is no longer checked: rows are left as they are.
        was.pop("db_constraint", None)
        if not now.pop("db_index", True):
            was.pop("db_index", None)
    if now.pop("null", False) or not was.get("null", False):
        was.pop("null", None)
    lengths = was.pop("max_length", None), now.pop("max_length", None)
    longer = lengths[0] == lengths[1] or (None not in lengths and lengths[1] > lengths[0])
    return kind == other and was == now and longer


def _of_new_field(operation: migrations.AddField, on: str) -> Iterator[tuple[str, str]]:
    field = operation.field
    if isinstance(field, models.ManyToManyField):
        return
    given = field.null or field.db_default is not models.NOT_PROVIDED or isinstance(field, models.GeneratedField)
    if not given:
        yield (
            f"{on}.{operation.name} must have a value, and the old release writes rows without it",
            _GIVEN,
        )
    if field.unique or getattr(field, "db_index", False):
        yield f"an index of {on}.{operation.name} is built while nobody can write to {on}", _CONCURRENTLY


def without_bodies(sql: str) -> str:
    """The text without comments, and without functions, which it only makes."""
    return _FUNCTION.sub("", _COMMENTS.sub("", sql))


def _of_sql(sql: object, made: set[str]) -> Iterator[tuple[str, str]]:
    statements = [sql] if isinstance(sql, str) else [one if isinstance(one, str) else one[0] for one in sql or ()]  # type: ignore[attr-defined]
    for text in statements:
        plain = without_bodies(text)
        here = made | {
            found.strip('"').lower()
            for found in re.findall(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\S+)", plain, re.IGNORECASE)
        }
        if re.search(r"\bDO\s+\$", plain, re.IGNORECASE):
            yield "a DO block runs, which nothing here can judge", "look at it: batches, and no lock held for long"
        for statement in plain.split(";"):
            yield from _faults(statement, here)
        for statement in harmless_sql.not_harmless(_COMMENTS.sub("", text), here):
            if not any(_faults(statement, here)):
                yield _unknown(statement[:80])


def _faults(statement: str, made: set[str]) -> Iterator[tuple[str, str]]:
    for pattern, what, instead in _STATEMENTS:
        if match := pattern.search(statement):
            table = match["table"].strip('"(').lower()
            if table not in made:
                yield what.format(table=table), instead


# --- which of them count ----------------------------------------------------------------------------------

#: apps of the platform begin so
_OURS = ("erip.", "workflows.", "schedules.", "people.", "monitoring.", "console.")
#: the last migration of each app in the last release, a line each; without any, there was no release yet
RELEASED: Final = Path(__file__).with_name("released_migrations.txt")


def released(file: Path = RELEASED) -> list[tuple[str, str]]:
    """Raises OSError, and ValueError for a line that is not app.name."""
    found = []
    for line in file.read_text("utf-8").splitlines():
        if (line := line.partition("#")[0].strip()) != "":
            app, dot, name = line.partition(".")
            if not dot:
                raise ValueError(f"{file.name}: {line[:100]!r} is not app.name")
            found.append((app, name))
    return found


def since(leaves: Iterable[tuple[str, str]]) -> list[Unsafe]:
    """What is unsafe in the platform's migrations after these. Raises KeyError for one that does not exist."""
    loader = MigrationLoader(None)
    old: set[tuple[str, str]] = set()
    for leaf in leaves:
        old.update(loader.graph.forwards_plan(leaf))
    found: list[Unsafe] = []
    for key in sorted(loader.graph.nodes):
        migration = loader.disk_migrations.get(key)
        if migration is None or key in old or not migration.__module__.startswith(_OURS):
            continue
        parents = [one.key for one in loader.graph.node_map[key].parents]
        found += refused(migration, loader.project_state(parents) if parents else ProjectState())
        new = [one for one in loader.graph.forwards_plan(key) if one != key and one not in old]
        found += _behind(migration, [loader.disk_migrations[one] for one in new])
    return found


def _behind(migration: migrations.Migration, needs: Iterable[migrations.Migration]) -> Iterator[Unsafe]:
    """needs: those of the same release that it needs, directly or not. Behind one that contracts it would wait until
    the release before is gone, which waits until this one has started, which needs it."""
    if phases.reason(migration):
        return
    for one in needs:
        if phases.reason(one):
            yield Unsafe(
                f"{migration.app_label}.{migration.name}",
                f"it needs {one.app_label}.{one.name}, which waits until no process of the release before is left, and"
                " no process of this one starts without it",
                "put it before that one, or into the next release",
                Old.GOES_ON,
            )


def refused(migration: migrations.Migration, before: ProjectState) -> list[Unsafe]:
    """The same as `unsafe`, without what breaks the release before in a migration that says so: it waits until no
    process of that release is left."""
    waits = bool(phases.reason(migration))
    return [one for one in unsafe(migration, before) if not (waits and one.old is Old.BREAKS)]
