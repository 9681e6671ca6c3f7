"""Migrations take as long as they take. But they give up on a lock, because all later statements would wait behind
them.

Note [Patience of migrations]
A statement that waits for an exclusive lock keeps everybody behind it from the table, also readers. So a migration
that is one transaction waits for a lock for `ERIP_DB_MIGRATION_LOCK_TIMEOUT` alone, is undone, and is tried again
after a pause, in which those who waited come to their turn (`persist`). One that is not (`atomic = False`) waits as
long as it has to: that builds indexes concurrently, whose locks let others read and write, and what it leaves half
done when it is cut off cannot be tried again.
"""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import post_migrate, pre_migrate

from erip.foundation.db.failures import sqlstate

#: seconds between two tries, at first and at most
PAUSE, LONGEST_PAUSE = 0.5, 5.0
_LOCK_NOT_AVAILABLE = "55P03"


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
