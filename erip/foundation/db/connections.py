"""This thread's connection to PostgreSQL, for code that lives longer than a request or takes longer than a statement
should."""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections


def drop_connection(using: str = DEFAULT_DB_ALIAS) -> None:
    """Close it for good: `connection.close()` would hand a pooled one back, with its session's locks."""
    connection = connections[using]
    if connection.connection is not None:
        with contextlib.suppress(Exception):
            connection.connection.close()
    # It is dropped because it is broken, so an error from closing it is no news, and would only stop the caller.
    with contextlib.suppress(Error):
        connection.close()


def release_connections() -> None:
    """Hold no connection while waiting: the database has fewer connections than there may be callers."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def keep_connection(using: str = DEFAULT_DB_ALIAS, *, unhurried: bool = False) -> None:
    """This thread keeps its connection for as long as it lives, and that is no leak. Call it before the first query.

    unhurried: its statements may take as long as they need; for work that would be lost, or restarted without end, if
    it were cut off. A hung server is still noticed. Behind a transaction pooler the limits of the role apply.
    """
    connection: Any = connections[using]
    connection.kept = True
    connection.unhurried = unhurried


@contextlib.contextmanager
def unhurried(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Within the caller's transaction: its statements may run, and wait for locks, as long as they need."""
    connection: Any = connections[using]
    before = getattr(connection, "unhurried", False)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
    connection.unhurried = True
    try:
        yield
    finally:
        connection.unhurried = before
