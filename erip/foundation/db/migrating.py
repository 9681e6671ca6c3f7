"""Migrations take as long as they take. But they give up on a lock, because all later statements would wait behind
them.

Note [Patience of migrations]
A statement that waits for an exclusive lock keeps everybody behind it from the table, also readers. So a migration
that is one transaction waits for a lock for `ERIP_DB_MIGRATION_LOCK_TIMEOUT` alone, is undone, and is tried again
after a pause, in which those who waited come to their turn (`persist`). One that is not (`atomic = False`) waits as
long as it has to: that builds indexes concurrently, whose locks let others read and write, and what it leaves half
done when it is cut off cannot be tried again.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connections
from django.db.migrations import Migration, RunSQL
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import post_migrate, pre_migrate

from erip.foundation.db.failures import sqlstate

#: seconds between two tries, at first and at most
PAUSE, LONGEST_PAUSE = 0.5, 5.0
_LOCK_NOT_AVAILABLE = "55P03"
#: "EMIG" in ASCII, and seconds between two looks
_TURN, _LOOK_EVERY = 0x454D4947, 1.0
_BUILT = re.compile(
    r"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?(\w+)\"?\s+ON\b", re.IGNORECASE
)
_INVALID = """
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relname = ANY(%s) AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname
"""


class Busy(Exception):
    """Another process has been migrating this database for too long."""


@contextmanager
def turn(using: str, waits: Callable[[], object], pause: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Within the block no other process that asks so migrates this database. Behind a pooler (`ERIP_DB_PREPARE` off)
    nobody waits: a session's locks mean nothing there. Raises Busy after `ERIP_DB_MIGRATION_PATIENCE`, and
    OperationalError.

    waits: is called once, before it waits.

    It asks again and again, over a connection of its own: who waits inside PostgreSQL holds a snapshot, and an index
    that is built concurrently waits for that; and the lock must outlast what is done with the other connection.
    """
    if not settings.ERIP_DB_PREPARE or connections[using].vendor != "postgresql":
        yield
        return
    own: Any = connections[using].copy()
    own.kept = True
    try:
        until, told = time.monotonic() + settings.ERIP_DB_MIGRATION_PATIENCE, False
        while not _ask(own, "SELECT pg_try_advisory_lock(%s)"):
            if time.monotonic() > until:
                raise Busy("Another process is migrating this database, and is not done.")
            if not told:
                waits()
                told = True
            pause(_LOOK_EVERY)
        try:
            yield
        finally:
            # Closing it might hand it to a pool, with the lock. Where its session has ended, so has the lock, and what
            # was migrated is no failure.
            try:
                _ask(own, "SELECT pg_advisory_unlock(%s)")
            except Error:
                with suppress(Exception):
                    own.connection.close()
    finally:
        own.close()


def _ask(connection: Any, question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question, [_TURN])
        return bool(cursor.fetchone()[0])


def drop_half_built(migration: Migration, using: str) -> list[str]:
    """An index that was cut off while it was built concurrently stays behind, INVALID, and stands in the way of the
    next attempt. Drop those that this migration builds; it is about to be applied, and no transaction is open. Returns
    their names."""
    built = [
        name
        for operation in migration.operations
        for name in (
            [operation.index.name]
            if isinstance(operation, AddIndexConcurrently)
            else _BUILT.findall(str(operation.sql))
            if isinstance(operation, RunSQL)
            else []
        )
    ]
    if migration.atomic or not built:
        return []
    with connections[using].cursor() as cursor:
        cursor.execute(_INVALID, [built])
        found = [str(name) for (name,) in cursor.fetchall()]
        for name in found:
            cursor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
    return found


def _lift(using: str, **_: Any) -> None:
    connection: Any = connections[using]
    connection.unhurried = True
    # Otherwise the limits are the role's, and migrations go past the pooler with a role that has none.
    if settings.ERIP_DB_PREPARE:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")


def _restore(using: str, **_: Any) -> None:
    connection: Any = connections[using]
    connection.unhurried = False
    if settings.ERIP_DB_PREPARE:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout; RESET lock_timeout")


pre_migrate.connect(_lift, dispatch_uid="erip.foundation.db.migrating.lift")
post_migrate.connect(_restore, dispatch_uid="erip.foundation.db.migrating.restore")


def ahead(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Migrations of installed apps that this database has and this release does not, as app.name: a newer release made
    them. In the order of their names. Raises OperationalError."""
    loader = MigrationLoader(connections[using])
    known = loader.disk_migrations or {}
    replaced = {each for one in known.values() for each in one.replaces}
    return sorted(
        f"{app}.{name}"
        for app, name in loader.applied_migrations or {}
        if app in loader.migrated_apps and (app, name) not in known and (app, name) not in replaced
    )


def wait_for_locks_of(migration: Migration, using: str) -> None:
    """The statements that follow wait for locks as long as those of this migration should."""
    if settings.ERIP_DB_PREPARE:
        with connections[using].cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {_milliseconds() if migration.atomic else 0}")


def wait_shortly(cursor: Any) -> None:
    """In the transaction of this cursor, wait for locks as long as a migration does."""
    cursor.execute(f"SET LOCAL lock_timeout = {_milliseconds()}")


def _milliseconds() -> int:
    return max(1, round(settings.ERIP_DB_MIGRATION_LOCK_TIMEOUT * 1000))


def persist(
    migrate: Callable[[], None], again: Callable[[str], object], pause: Callable[[float], object] = time.sleep
) -> None:
    """Migrate; where a lock was not to be had, again, until `ERIP_DB_MIGRATION_PATIENCE` is over. Raises what it does.

    again: is called before each further try, with what PostgreSQL said.
    """
    until = time.monotonic() + settings.ERIP_DB_MIGRATION_PATIENCE
    wait = PAUSE
    while True:
        try:
            return migrate()
        except OperationalError as error:
            if sqlstate(error) != _LOCK_NOT_AVAILABLE or time.monotonic() + wait > until:
                raise
            again(str(error).strip().splitlines()[0])
        pause(wait)
        wait = min(LONGEST_PAUSE, 2 * wait)
