"""What an operation changed, row by row: which tables are recorded, and how.

Note [Recorded changes]
A row's change is noted by a trigger, because that is the one place which all doors pass: the API, the admin with its
many-to-many forms, commands, Django's own commands, SQL in a store. It notes the row, and of each column that differs
the value before and after, in a setting of the transaction (`erip.changes`). The entry of the operation takes what was
noted by the default of its column `changes`: no statement is added to any operation, and a transaction without an entry
forgets it. What is recorded of one transaction is bounded: 500 characters of a value, 30,000 of all; the rest is a
hash and a count. Secrets and personal data are hashes with a salt (Note [Salted hashes] in `salts`).

Every table is recorded, also one that an app adds tomorrow, except those that an app names with the reason
(`hooks.unrecorded`): tables to which the platform itself writes all the time have their own history, and a trigger
would cost too much there. The triggers are installed by `manage.py migrate`. A column that the platform keeps writing
is left out (`Recorded.without`); a statement that sets only such columns does not call the trigger.

PostgreSQL refuses another type for a column that a trigger names, and drops the trigger with the column. So a trigger
names columns only where some are left out, and those triggers name none while a migration alters their table
(`loosen`); `install` makes them as they were.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.migrations import AlterField, Migration, RemoveField, SeparateDatabaseAndState
from django.db.models import BinaryField, Model

from erip.foundation import hooks
from erip.foundation.db import migrating
from erip.foundation.hooks import Recorded

TRIGGER = "audit_changed"
#: columns whose value may be a secret, whatever an app says; so may any that holds bytes
SECRET = re.compile(r"(?:^|_)(?:password|secret|digest|sealed|token|ciphertext|wrapped|encrypted|private_key|data)$")

_INSTALLED = """
SELECT c.relname, coalesce(obj_description(t.oid, 'pg_trigger'), '') FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid AND c.relnamespace = current_schema()::regnamespace
WHERE t.tgname = %s AND NOT t.tgisinternal
"""
_NAMING = """
SELECT c.relname, pg_get_triggerdef(t.oid) FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid AND c.relnamespace = current_schema()::regnamespace
WHERE t.tgname = %s AND NOT t.tgisinternal AND c.relname = ANY(%s) AND t.tgattr::text <> '' ORDER BY c.relname
"""
_TABLES = """
SELECT relname, (SELECT array_agg(attname::text) FROM pg_attribute
                 WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
FROM pg_class c WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
AND EXISTS (SELECT FROM pg_proc WHERE proname = 'audit_changed' AND pronamespace = current_schema()::regnamespace)
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A recorded table.

    key: the columns that name a row; columns: those that call the trigger; hashed: those of them of which only a hash
    is recorded; without: those that are left out; verbs: what is recorded; all: whether every column calls it.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    hashed: tuple[str, ...]
    without: tuple[str, ...]
    verbs: tuple[str, ...]
    all: bool

    def among(self, there: set[str]) -> "Table":
        """Of the columns that are there: a database that is behind, or that was taken back, has not all of them."""
        if self.columns and not there.issuperset((*self.columns, *self.hashed, *self.without)):
            names = (tuple(one for one in each if one in there) for each in (self.columns, self.hashed, self.without))
            columns, hashed, without = names
            return replace(self, columns=columns, hashed=hashed, without=without)
        return self

    def statement(self) -> str:
        """What makes its trigger."""
        of = ", ".join(f'"{column}"' for column in self.columns)
        when = " OR ".join(f"UPDATE OF {of}" if verb == "UPDATE" and not self.all else verb for verb in self.verbs)
        arguments = ", ".join(f"'{_array(names)}'" for names in (self.key, self.hashed, self.without))
        return (
            f'CREATE OR REPLACE TRIGGER {TRIGGER} AFTER {when} ON "{self.name}"'
            f" FOR EACH ROW EXECUTE FUNCTION audit_changed({arguments})"
        )


def tables() -> list[Table]:
    """All recorded tables, by name."""
    said = {one.table: one for one in hooks.recorded.all()}
    left = {name for name, _ in hooks.unrecorded.all()}
    found = {
        model._meta.db_table: _table(model, said.get(model._meta.db_table))
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model._meta.db_table not in left
    }
    return [found[name] for name in sorted(found)]


def install(alias: str = DEFAULT_DB_ALIAS) -> int:
    """Make the triggers that are missing or different, and remove those that should not be. Returns how many were
    touched. Needs the owner of the tables.

    Each in a transaction of its own: two locks at once would keep twice as many waiting, and could be in a deadlock.
    """
    with connections[alias].cursor() as cursor:
        cursor.execute(_TABLES)
        there = {name: set(columns) for name, columns in cursor.fetchall()}
        cursor.execute(_INSTALLED, [TRIGGER])
        installed = dict(cursor.fetchall())
    wanted = {table.name: table.among(there[table.name]).statement() for table in tables() if table.name in there}
    said = list(_needed(wanted, installed))
    for statement in said:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            migrating.wait_shortly(cursor)
            cursor.execute(statement)
    return len(said)


def altered(migration: Migration) -> list[str]:
    """The tables of which this migration alters or removes columns by Django's operations."""
    found = set()
    for operation in _flat(migration.operations):
        if isinstance(operation, AlterField | RemoveField):
            try:
                found.add(apps.get_model(migration.app_label, operation.model_name)._meta.db_table)
            except LookupError:
                found.add(f"{migration.app_label}_{operation.model_name_lower}")
    return sorted(found)


def _flat(operations: Iterable[Any]) -> Iterator[Any]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _flat(operation.database_operations)
        else:
            yield operation


def loosen(names: list[str], alias: str = DEFAULT_DB_ALIAS) -> int:
    """Let the triggers of these tables name no columns, until `install`: they are called more often meanwhile, and
    record the same. Returns how many were touched. Needs the owner of the tables."""
    if not names:
        return 0
    with connections[alias].cursor() as cursor:
        cursor.execute(_NAMING, [TRIGGER, names])
        found = cursor.fetchall()
    for name, made in found:
        loose = re.sub(r" UPDATE OF .*? ON ", " UPDATE ON ", made).replace("CREATE ", "CREATE OR REPLACE ", 1)
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            migrating.wait_shortly(cursor)
            cursor.execute(f'{loose}; COMMENT ON TRIGGER {TRIGGER} ON "{name}" IS NULL')
    return len(found)


def _needed(wanted: dict[str, str], installed: dict[str, str]) -> Iterator[str]:
    for name, statement in wanted.items():
        mark = sha256(statement.encode()).hexdigest()[:16]
        if installed.get(name) != mark:
            yield f"{statement}; COMMENT ON TRIGGER {TRIGGER} ON \"{name}\" IS '{mark}'"
    for name in installed.keys() - wanted.keys():
        yield f'DROP TRIGGER {TRIGGER} ON "{name}"'


def _table(model: type[Model], said: Recorded | None) -> Table:
    name = model._meta.db_table
    said = said or Recorded(name)
    all_columns = [str(field.column) for field in model._meta.local_concrete_fields]
    columns = tuple(each for each in said.only or all_columns if each not in said.without)
    without = tuple(each for each in all_columns if each not in (*columns, *said.beside))
    binary = {str(field.column) for field in model._meta.local_concrete_fields if isinstance(field, BinaryField)}
    hashed = tuple(each for each in columns if each in said.hashed or each in binary or SECRET.search(each))
    return Table(name, _key_of(model), columns, hashed, without, said.verbs, set(columns) == set(all_columns))


def _key_of(model: type[Model]) -> tuple[str, ...]:
    key: Any = model._meta.pk
    parts: Iterable[Any] = getattr(key, "fields", None) or [key]
    return tuple(str(part.column) for part in parts)


def _array(names: Iterable[str]) -> str:
    return "{" + ",".join(names) + "}"
