"""Services that talk to PostgreSQL: what `Service` does, with the connection of its thread.

After an error the connection is closed for good and the next turn opens another: nobody knows what state it is in. An
error that says that PostgreSQL is away, busy or no primary any more (`failures.is_passing`) is sat out.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from erip.foundation.db.connections import drop_connection, keep_connection, release_connections
from erip.foundation.db.failures import is_passing
from erip.foundation.service import Service


def database_service(
    name: str, turn: Callable[[], object], *, keeps: bool = True, unhurried: bool = False, **options: Any
) -> Service:
    """A `Service` whose turns use this thread's connection.

    keeps: the thread keeps one connection for itself as long as it lives; otherwise it goes back to the pool after
        each turn, for what needs it for a millisecond in each second.
    unhurried: its statements may take as long as they need (`keep_connection`).
    options: of `Service`.
    """
    options.setdefault("expected", is_passing)
    options.setdefault("clean", drop_connection)
    if keeps:
        return Service(name, turn, begin=partial(keep_connection, unhurried=unhurried), **options)

    def releasing() -> None:
        try:
            turn()
        finally:
            release_connections()

    return Service(name, releasing, **options)
